import { randomInt, timingSafeEqual } from "node:crypto";
import type { Queryable } from "../database.ts";
import type { Sealer } from "../sealer.ts";

const DIGITS = 6;
const LIFETIME_SECONDS = 600;
/** In a day, whatever is mailed meanwhile: else each new letter would bring another five guesses at somebody else's address. */
const TRIES_MAX = 5;

export const EmailCodePattern = new RegExp(`^\\d{${DIGITS}}$`);

interface CodeDeps {
  readonly sealer: Pick<Sealer, "seal" | "open">;
}

const purposeOf = (userId: string): string => `code that confirms the address of ${userId}`;

/** Puts a code beside the user's newest link, and answers it; for the auth role inside the user's transaction. */
export async function issueEmailCode(
  database: Queryable,
  { sealer }: CodeDeps,
  userId: string,
): Promise<string> {
  const code = String(randomInt(10 ** DIGITS)).padStart(DIGITS, "0");
  await database.query(
    `update email_tokens
        set code = $2, code_expires_at = now() + make_interval(secs => $3),
            code_tries = case when code_expires_at < now() - interval '1 day' then 0 else code_tries end
      where user_id = $1 and purpose = 'verify'`,
    [userId, sealer.seal(code, purposeOf(userId)), LIFETIME_SECONDS],
  );
  return code;
}

/**
 * Uses it up, together with its link; false when it is wrong, too old, used, or was tried too often. A try counts before it is judged: the
 * transaction of one that failed has to be committed. For the auth role inside the user's transaction.
 */
export async function useEmailCode(
  database: Queryable,
  { sealer }: CodeDeps,
  { userId, code }: { readonly userId: string; readonly code: string },
): Promise<boolean> {
  const { rows } = await database.query<{ code: Buffer }>(
    `update email_tokens set code_tries = code_tries + 1
      where user_id = $1 and purpose = 'verify' and code_tries < $2 and code_expires_at > now()
      returning code`,
    [userId, TRIES_MAX],
  );
  const [row] = rows;
  if (row === undefined) return false;
  const right = Buffer.from(sealer.open(row.code, purposeOf(userId)));
  const shown = Buffer.from(code);
  if (shown.length !== right.length || !timingSafeEqual(shown, right)) return false;
  await database.query("delete from email_tokens where user_id = $1 and purpose = 'verify'", [
    userId,
  ]);
  return true;
}
