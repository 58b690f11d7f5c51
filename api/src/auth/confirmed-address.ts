import { ApiError } from "../errors.ts";
import type { Mailer } from "../mail/mailer.ts";
import type { UserRow } from "./user-store.ts";

/**
 * Real money needs an address that notices and new passwords can be sent to, and a pod somebody whom others can reach. Where no mails
 * can be sent nobody can be asked to confirm one.
 * @throws ApiError `email_unverified`
 */
export function assertConfirmed(
  { mailer }: { readonly mailer: Mailer | undefined },
  user: Pick<UserRow, "email_verified_at">,
): void {
  if (mailer === undefined || user.email_verified_at !== null) return;
  throw new ApiError(
    "email_unverified",
    "open the link that we mailed you or send its code, or ask for another with POST /api/auth/verification-mail",
  );
}
