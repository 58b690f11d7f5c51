import { createHash, randomBytes } from "node:crypto";
import { z } from "zod";
import type { Queryable } from "../database.ts";

const SECRET_BYTES = 32;
const SECONDS_BETWEEN = 300;

/** What the link in a mail is good for. */
export type EmailPurpose = "verify" | "reset";

const LIFETIME_SECONDS: Readonly<Record<EmailPurpose, number>> = {
  verify: 3 * 86_400,
  reset: 30 * 60,
};

export interface EmailToken {
  readonly userId: string;
  readonly secret: Buffer;
}

const Text = z.tuple([z.uuid(), z.base64url()]);

/** Undefined for what cannot be one of ours. */
export function readEmailToken(text: string): EmailToken | undefined {
  const { data } = Text.safeParse(text.split(".", 3));
  const secret = Buffer.from(data?.[1] ?? "", "base64url");
  return data === undefined || secret.length !== SECRET_BYTES
    ? undefined
    : { userId: data[0], secret };
}

interface Wanted {
  readonly userId: string;
  readonly purpose: EmailPurpose;
}

/**
 * Makes a token in place of the one before; for the auth role inside the user's transaction. Undefined when there was one less than
 * five minutes ago: nobody's mailbox is filled by strangers, whichever process they ask.
 */
export async function issueEmailToken(
  database: Queryable,
  { userId, purpose }: Wanted,
): Promise<{ readonly token: string; readonly livesForSeconds: number } | undefined> {
  const secret = randomBytes(SECRET_BYTES);
  const livesForSeconds = LIFETIME_SECONDS[purpose];
  const { rowCount } = await database.query(
    `insert into email_tokens as known (user_id, purpose, hash, expires_at)
     values ($1, $2, $3, now() + make_interval(secs => $4))
     on conflict (user_id, purpose)
     do update set hash = excluded.hash, created_at = now(), expires_at = excluded.expires_at
      where known.created_at < now() - make_interval(secs => $5)`,
    [userId, purpose, hashOf(secret), livesForSeconds, SECONDS_BETWEEN],
  );
  if (rowCount !== 1) return undefined;
  return { token: `${userId}.${secret.toString("base64url")}`, livesForSeconds };
}

/** Whether it is good still; for the auth role inside the user's transaction. */
export async function isGoodEmailToken(
  database: Queryable,
  { userId, secret }: EmailToken,
  purpose: EmailPurpose,
): Promise<boolean> {
  const { rowCount } = await database.query(
    `select 1 from email_tokens
      where user_id = $1 and purpose = $2 and hash = $3 and expires_at > now()`,
    [userId, purpose, hashOf(secret)],
  );
  return rowCount === 1;
}

/** Uses it up; false when it is none, too old, or used. For the auth role inside the user's transaction. */
export async function useEmailToken(
  database: Queryable,
  { userId, secret }: EmailToken,
  purpose: EmailPurpose,
): Promise<boolean> {
  const { rowCount } = await database.query(
    `delete from email_tokens
      where user_id = $1 and purpose = $2 and hash = $3 and expires_at > now()`,
    [userId, purpose, hashOf(secret)],
  );
  return rowCount === 1;
}

/** The password is another now: a link of before must not change it back. For the auth role inside the user's transaction. */
export async function forgetResetToken(database: Queryable, userId: string): Promise<void> {
  await database.query("delete from email_tokens where user_id = $1 and purpose = 'reset'", [
    userId,
  ]);
}

/** As it is kept: of 32 random bytes, so that a plain hash is enough. */
function hashOf(secret: Buffer): Buffer {
  return createHash("sha256").update(secret).digest();
}
