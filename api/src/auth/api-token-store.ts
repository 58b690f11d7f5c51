import { atMostOne, type Queryable } from "../database.ts";
import type { Scope } from "./scopes.ts";
import type { Tier } from "./user.ts";

// Everything in here is for the auth role.

export interface ApiTokenRow {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly created_at: Date;
  readonly expires_at: Date;
  readonly last_used_at: Date | null;
}

export interface NewApiToken {
  readonly userId: string;
  readonly id: string;
  readonly hash: Buffer;
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly expiresInDays: number;
}

const COLUMNS = "id, name, scopes, created_at, expires_at, last_used_at";

/** Adds a token inside the user's transaction, and forgets those whose end every process has heard of. */
export async function insertApiToken(
  database: Queryable,
  token: NewApiToken,
): Promise<ApiTokenRow> {
  const { userId, id, hash, name, scopes, expiresInDays } = token;
  await database.query(
    `delete from api_tokens
      where user_id = $1
        and (ended_at < now() - interval '1 hour' or expires_at < now() - interval '1 hour')`,
    [userId],
  );
  const { rows } = await database.query<ApiTokenRow>(
    `insert into api_tokens (user_id, id, hash, name, scopes, expires_at)
     values ($1, $2, $3, $4, $5, now() + make_interval(days => $6)) returning ${COLUMNS}`,
    [userId, id, hash, name, scopes, expiresInDays],
  );
  const row = atMostOne(rows);
  if (row === undefined) throw new Error("an insert answers what it has inserted");
  return row;
}

/** The user's tokens that are neither revoked nor too old, the newest first. */
export async function listApiTokens(
  database: Queryable,
  userId: string,
): Promise<readonly ApiTokenRow[]> {
  const { rows } = await database.query<ApiTokenRow>(
    `select ${COLUMNS} from api_tokens
      where user_id = $1 and ended_at is null and expires_at > now()
      order by created_at desc, id`,
    [userId],
  );
  return rows;
}

export interface FoundApiToken {
  readonly user_id: string;
  readonly id: string;
  readonly scopes: readonly Scope[];
  readonly expires_at: Date;
  readonly email: string;
  readonly tier: Tier;
}

/** A token with its user, whoever shows it; undefined when it is revoked, too old, or none. */
export async function findApiToken(
  database: Queryable,
  hash: Buffer,
): Promise<FoundApiToken | undefined> {
  const { rows } = await database.query<FoundApiToken>(
    `select t.user_id, t.id, t.scopes, t.expires_at, u.email, u.tier
       from api_tokens t join users u on u.id = t.user_id
      where t.hash = $1 and t.ended_at is null and t.expires_at > now() and u.disabled_at is null`,
    [hash],
  );
  return atMostOne(rows);
}

interface ApiTokenKey {
  readonly userId: string;
  readonly id: string;
}

/** Inside the user's transaction. */
export async function noteApiTokenUse(
  database: Queryable,
  { userId, id }: ApiTokenKey,
): Promise<void> {
  await database.query(
    `update api_tokens set last_used_at = now()
      where user_id = $1 and id = $2 and ended_at is null
        and (last_used_at is null or last_used_at < now() - interval '1 minute')`,
    [userId, id],
  );
}

/** False when there is no such living token of the user; inside the user's transaction. */
export async function endApiToken(
  database: Queryable,
  { userId, id }: ApiTokenKey,
): Promise<boolean> {
  const { rowCount } = await database.query(
    `update api_tokens set ended_at = clock_timestamp()
      where user_id = $1 and id = $2 and ended_at is null`,
    [userId, id],
  );
  return rowCount === 1;
}

/** Revokes all tokens of the user; inside the user's transaction. */
export async function endApiTokens(database: Queryable, userId: string): Promise<void> {
  await database.query(
    "update api_tokens set ended_at = clock_timestamp() where user_id = $1 and ended_at is null",
    [userId],
  );
}
