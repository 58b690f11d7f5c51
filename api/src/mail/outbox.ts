import type { Queryable } from "../database.ts";

export interface QueuedMail {
  readonly userId: string;
  readonly id: string;
  readonly sealed: Buffer;
  /** After so long it would be of no use. */
  readonly livesForSeconds: number;
}

/** Puts a mail into the outbox; for the auth role inside the user's transaction, so that it leaves only if that commits. */
export async function queueMail(database: Queryable, mail: QueuedMail): Promise<void> {
  await database.query(
    `insert into mails (user_id, id, sealed, expires_at)
     values ($1, $2, $3, now() + make_interval(secs => $4))`,
    [mail.userId, mail.id, mail.sealed, mail.livesForSeconds],
  );
}

export interface MailRow {
  readonly user_id: string;
  readonly id: string;
  readonly sealed: Buffer;
  readonly attempts: number;
  readonly is_over: boolean;
}

/**
 * Takes mails that are due, whosever they are; for the auth role. Nobody else takes them for `leaseSeconds`; then they are due again,
 * should whoever took them have died.
 */
export async function takeMails(
  database: Queryable,
  { limit, leaseSeconds }: { readonly limit: number; readonly leaseSeconds: number },
): Promise<readonly MailRow[]> {
  const { rows } = await database.query<MailRow>(
    `update mails set attempts = attempts + 1, due_at = now() + make_interval(secs => $2)
      where id in (
        select id from mails where due_at <= now() order by due_at limit $1 for update skip locked)
     returning user_id, id, sealed, attempts, expires_at <= now() as is_over`,
    [limit, leaseSeconds],
  );
  return rows;
}

/** It failed and is tried again. */
export async function postponeMail(
  database: Queryable,
  { id, seconds }: { readonly id: string; readonly seconds: number },
): Promise<void> {
  await database.query(
    "update mails set due_at = now() + make_interval(secs => $2) where id = $1",
    [id, seconds],
  );
}

/** It is sent or given up: nothing of it is kept. */
export async function removeMail(database: Queryable, id: string): Promise<void> {
  await database.query("delete from mails where id = $1", [id]);
}
