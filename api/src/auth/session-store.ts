import { atMostOne, type Queryable } from "../database.ts";
import type { Tier } from "./user.ts";

/** Why a session is over. */
export type EndReason = "logout" | "reuse" | "password" | "crowded" | "disabled" | "erased";

export interface NewSession {
  readonly userId: string;
  readonly id: string;
  readonly proofHash: Buffer;
  readonly refreshHash: Buffer;
  readonly address: string;
  readonly userAgent: string;
  readonly hasSecondFactor: boolean;
  /** Whether the log-in proves enough for what step-up is asked for. */
  readonly isFresh: boolean;
}

/** Begins a session; for the auth role inside the user's transaction. */
export async function insertSession(database: Queryable, session: NewSession): Promise<void> {
  const { userId, id, proofHash, refreshHash, address, userAgent, hasSecondFactor, isFresh } =
    session;
  await database.query(
    `insert into sessions (user_id, id, proof_hash, refresh_hash, address, user_agent, has_second_factor, authenticated_at)
     values ($1, $2, $3, $4, $5, $6, $7, case when $8 then now() else 'epoch' end)`,
    [userId, id, proofHash, refreshHash, address, userAgent, hasSecondFactor, isFresh],
  );
}

/**
 * Whoever changes several sessions of a user takes them all first, and in this order, whatever plan finds them later: two who end each
 * other's sessions would otherwise wait for one another.
 */
export async function lockSessions(database: Queryable, userId: string): Promise<void> {
  await database.query(
    "select from sessions where user_id = $1 and ended_at is null order by id for update",
    [userId],
  );
}

interface Room {
  readonly idleDays: number;
  readonly keep: number;
}

/**
 * Forgets sessions that every process has heard the end of, and those unused for so long that they are over; then ends those that were
 * unused for longest, so that `keep` are left.
 */
export async function makeRoom(
  database: Queryable,
  userId: string,
  { idleDays, keep }: Room,
): Promise<void> {
  await lockSessions(database, userId);
  await database.query(
    `delete from sessions
      where user_id = $1
        and (ended_at < now() - interval '1 hour' or rotated_at < now() - make_interval(days => $2))`,
    [userId, idleDays],
  );
  await database.query(
    `update sessions set ended_at = clock_timestamp(), end_reason = 'crowded'
      where user_id = $1 and ended_at is null and id in (
        select id from sessions where user_id = $1 and ended_at is null
         order by rotated_at desc, id offset $2)`,
    [userId, keep],
  );
}

export interface SessionRow {
  readonly user_id: string;
  readonly id: string;
  readonly proof_hash: Buffer;
  readonly refresh_hash: Buffer;
  readonly previous_hash: Buffer | null;
  readonly is_over: boolean;
  readonly idle_ms: number;
  readonly age_ms: number;
  readonly email: string;
  readonly tier: Tier;
}

/** Any session with its user, whoever asks; for the auth role. Ages are by the database's clock. */
export async function findSession(
  database: Queryable,
  id: string,
): Promise<SessionRow | undefined> {
  const { rows } = await database.query<SessionRow>(
    `select s.user_id, s.id, s.proof_hash, s.refresh_hash, s.previous_hash, s.ended_at is not null or u.disabled_at is not null as is_over,
            extract(epoch from now() - s.rotated_at)::float8 * 1000 as idle_ms,
            extract(epoch from now() - s.created_at)::float8 * 1000 as age_ms,
            u.email, u.tier
       from sessions s join users u on u.id = s.user_id
      where s.id = $1`,
    [id],
  );
  return atMostOne(rows);
}

interface Rotation {
  readonly userId: string;
  readonly id: string;
  readonly from: Buffer;
  readonly to: Buffer;
}

/** Replaces the secret; false when somebody else did so first, or the session is over. */
export async function rotateSession(
  database: Queryable,
  { userId, id, from, to }: Rotation,
): Promise<boolean> {
  const { rowCount } = await database.query(
    `update sessions set previous_hash = refresh_hash, refresh_hash = $4, rotated_at = now()
      where user_id = $1 and id = $2 and refresh_hash = $3 and ended_at is null`,
    [userId, id, from, to],
  );
  return rowCount === 1;
}

interface SessionKey {
  readonly userId: string;
  readonly id: string;
}

/** False when there is no such living session of the user. */
export async function endSession(
  database: Queryable,
  { userId, id }: SessionKey,
  reason: EndReason,
): Promise<boolean> {
  const { rowCount } = await database.query(
    `update sessions set ended_at = clock_timestamp(), end_reason = $3
      where user_id = $1 and id = $2 and ended_at is null`,
    [userId, id, reason],
  );
  return rowCount === 1;
}

/** Ends all sessions of the user; API tokens go on. */
export async function endSessions(
  database: Queryable,
  userId: string,
  reason: EndReason,
): Promise<void> {
  await lockSessions(database, userId);
  await database.query(
    `update sessions set ended_at = clock_timestamp(), end_reason = $2
      where user_id = $1 and ended_at is null`,
    [userId, reason],
  );
}

export interface Device {
  readonly id: string;
  readonly created_at: Date;
  readonly rotated_at: Date;
  readonly address: string;
  readonly user_agent: string;
}

/** The user's living sessions, the one used last first; at most as many as a user may have. */
export async function listDevices(
  database: Queryable,
  userId: string,
  idleDays: number,
): Promise<readonly Device[]> {
  const { rows } = await database.query<Device>(
    `select id, created_at, rotated_at, host(address) as address, user_agent from sessions
      where user_id = $1 and ended_at is null and rotated_at > now() - make_interval(days => $2)
      order by rotated_at desc, id`,
    [userId, idleDays],
  );
  return rows;
}

/**
 * Whether the session lives and its user proved to be them so lately; it lives on until the end of the transaction, so whoever ends it
 * sees what was made in it.
 */
export async function isFreshSession(
  database: Queryable,
  { userId, id, seconds }: SessionKey & { readonly seconds: number },
): Promise<boolean> {
  const { rowCount } = await database.query(
    `select 1 from sessions
      where user_id = $1 and id = $2 and ended_at is null
        and authenticated_at > now() - make_interval(secs => $3)
        for share`,
    [userId, id, seconds],
  );
  return rowCount === 1;
}

/**
 * The user has just proven to be them; false when there is no such living session. For the auth role. `hasSecondFactor`: whether
 * by more than a password.
 */
export async function refreshProof(
  database: Queryable,
  { userId, id, hasSecondFactor }: SessionKey & { readonly hasSecondFactor: boolean },
): Promise<boolean> {
  const { rowCount } = await database.query(
    `update sessions set authenticated_at = now(), has_second_factor = $3
      where user_id = $1 and id = $2 and ended_at is null`,
    [userId, id, hasSecondFactor],
  );
  return rowCount === 1;
}

/** Whether the session lives and its last proof was more than a password. */
export async function isTwoFactorSession(
  database: Queryable,
  { userId, id }: SessionKey,
): Promise<boolean> {
  const { rowCount } = await database.query(
    `select 1 from sessions
      where user_id = $1 and id = $2 and ended_at is null and has_second_factor`,
    [userId, id],
  );
  return rowCount === 1;
}

/** The user has no second factor any more: no session has shown one. For the auth role. */
export async function forgetSecondFactor(database: Queryable, userId: string): Promise<void> {
  await lockSessions(database, userId);
  await database.query(
    `update sessions set has_second_factor = false
      where user_id = $1 and ended_at is null and has_second_factor`,
    [userId],
  );
}
