import { atMostOne, type Queryable } from "../database.ts";

// Everything in here is for the auth role inside the user's transaction.

export interface FactorsRow {
  readonly has_totp: boolean;
  readonly passkeys: number;
  readonly recovery_codes: number;
}

/** What the user has enrolled. */
export async function findFactors(database: Queryable, userId: string): Promise<FactorsRow> {
  const { rows } = await database.query<FactorsRow>(
    `select exists (select from second_factors where user_id = $1 and totp_confirmed_at is not null) as has_totp,
            (select count(*)::int from passkeys where user_id = $1) as passkeys,
            (select count(*)::int from recovery_codes where user_id = $1) as recovery_codes`,
    [userId],
  );
  const row = atMostOne(rows);
  if (row === undefined) throw new Error("a select without a table answers one row");
  return row;
}

/** Makes the row that wrong codes are counted in. */
export async function ensureFactors(database: Queryable, userId: string): Promise<void> {
  await database.query(
    "insert into second_factors (user_id) values ($1) on conflict (user_id) do nothing",
    [userId],
  );
}

/** Wrong codes that cost nothing; then each doubles the wait. */
export const FREE_FAILURES = 5;
const FIRST_WAIT_SECONDS = 30;
/** 24 guesses a day at three codes in a million: one chance in 38 years. */
const WAIT_SECONDS_MAX = 3_600;
const WAIT = `make_interval(secs => least(${FIRST_WAIT_SECONDS} * power(2, least(failures, 30) - ${FREE_FAILURES}), ${WAIT_SECONDS_MAX}))`;

export interface TotpRow {
  readonly totp_sealed: Buffer | null;
  readonly is_confirmed: boolean;
  readonly totp_last_step: string;
  /** With this attempt. */
  readonly failures: number;
}

/**
 * Counts an attempt as failed before it is judged, wherever it comes from, so that a hundred at once are not all judged. Undefined
 * while the user must wait.
 */
export async function claimAttempt(
  database: Queryable,
  userId: string,
): Promise<TotpRow | undefined> {
  const { rows } = await database.query<TotpRow>(
    `update second_factors set failures = failures + 1, failed_at = now()
      where user_id = $1 and (failures < ${FREE_FAILURES} or failed_at <= now() - ${WAIT})
     returning totp_sealed, totp_confirmed_at is not null as is_confirmed, totp_last_step, failures`,
    [userId],
  );
  return atMostOne(rows);
}

/** Whole seconds until the next attempt; undefined when there is nothing to attempt. */
export async function secondsToWait(
  database: Queryable,
  userId: string,
): Promise<number | undefined> {
  const { rows } = await database.query<{ seconds: number }>(
    `select greatest(1, ceil(extract(epoch from failed_at + ${WAIT} - now())))::int as seconds
       from second_factors where user_id = $1`,
    [userId],
  );
  return atMostOne(rows)?.seconds;
}

/** The code was right. */
export async function forgiveFailures(database: Queryable, userId: string): Promise<void> {
  await database.query(
    "update second_factors set failures = 0, failed_at = null where user_id = $1",
    [userId],
  );
}

interface TakenStep {
  readonly userId: string;
  readonly step: number;
  /** The secret, sealed with the newest key. */
  readonly sealed: Buffer;
  /** That the code must have been made with: another may have been enrolled meanwhile. */
  readonly from: Buffer;
}

/** Takes a code; false when it, or a newer one, was taken before. The first confirms the secret. */
export async function takeStep(
  database: Queryable,
  { userId, step, sealed, from }: TakenStep,
): Promise<boolean> {
  const { rowCount } = await database.query(
    `update second_factors
        set totp_last_step = $2, totp_sealed = $3, totp_confirmed_at = coalesce(totp_confirmed_at, now())
      where user_id = $1 and totp_last_step < $2 and totp_sealed = $4`,
    [userId, step, sealed, from],
  );
  return rowCount === 1;
}

/** Keeps a secret that waits for its first code; false when there is a confirmed one. */
export async function offerTotp(
  database: Queryable,
  { userId, sealed }: { readonly userId: string; readonly sealed: Buffer },
): Promise<boolean> {
  await ensureFactors(database, userId);
  const { rowCount } = await database.query(
    `update second_factors set totp_sealed = $2, totp_last_step = 0
      where user_id = $1 and totp_confirmed_at is null`,
    [userId, sealed],
  );
  return rowCount === 1;
}

/** Removes every way to prove oneself beside the password. */
export async function removeFactors(database: Queryable, userId: string): Promise<void> {
  for (const table of ["passkeys", "recovery_codes", "second_factors"]) {
    await database.query(`delete from ${table} where user_id = $1`, [userId]);
  }
}

/** False when there is none. */
export async function removeTotp(database: Queryable, userId: string): Promise<boolean> {
  const { rowCount } = await database.query(
    `update second_factors set totp_sealed = null, totp_confirmed_at = null, totp_last_step = 0
      where user_id = $1 and totp_confirmed_at is not null`,
    [userId],
  );
  return rowCount === 1;
}
