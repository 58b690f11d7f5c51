import { atMostOne, type Queryable } from "../database.ts";
import { endSessions } from "../auth/session-store.ts";
import type { Tier } from "../auth/user.ts";
import type { Role } from "./administrator.ts";

/** A user as administrators see one. All functions here are for the admin role. */
export interface KnownUser {
  readonly id: string;
  readonly email: string;
  readonly tier: Tier;
  readonly role: Role | null;
  readonly created_at: Date;
  readonly disabled_at: Date | null;
  readonly subscription_expires_at: Date | null;
  readonly accounts: number;
  readonly bots: number;
}

const COLUMNS = `u.id, u.email, u.tier, u.role, u.created_at, u.disabled_at, u.subscription_expires_at,
  (select count(*)::int from accounts a where a.user_id = u.id and a.retired_at is null and a.gone_at is null) as accounts,
  (select count(*)::int from bots b where b.user_id = u.id and b.retired_at is null and b.gone_at is null) as bots`;

export interface UserSearch {
  /** A part of the e-mail address. */
  readonly email?: string | undefined;
  readonly tier?: Tier | undefined;
  readonly disabled?: boolean | undefined;
  readonly after: string;
  readonly limit: number;
}

/** By id; one row more than the limit, when there is one. */
export async function searchUsers(
  database: Queryable,
  { email, tier, disabled, after, limit }: UserSearch,
): Promise<readonly KnownUser[]> {
  const { rows } = await database.query<KnownUser>(
    `select ${COLUMNS} from users u
      where u.id > $1 and ($2::text is null or position($2 in u.email) > 0)
        and ($3::text is null or u.tier = $3) and ($4::boolean is null or (u.disabled_at is not null) = $4)
      order by u.id limit $5`,
    [after, email?.toLowerCase() ?? null, tier ?? null, disabled ?? null, limit + 1],
  );
  return rows;
}

export async function findKnownUser(
  database: Queryable,
  id: string,
): Promise<KnownUser | undefined> {
  const { rows } = await database.query<KnownUser>(`select ${COLUMNS} from users u where id = $1`, [
    id,
  ]);
  return atMostOne(rows);
}

export interface Subscription {
  readonly tier: Tier;
  readonly expiresAt: Date | null;
}

/** What a user had and has no more; the row is locked from here on. */
export async function replaceSubscription(
  database: Queryable,
  userId: string,
  { tier, expiresAt }: Subscription,
): Promise<void> {
  await database.query("update users set tier = $2, subscription_expires_at = $3 where id = $1", [
    userId,
    tier,
    expiresAt,
  ]);
}

/**
 * The user cannot log in any more, API tokens do not work, and every log-in is over. The first time counts. The row comes first: a
 * log-in that begins in this moment holds it, or finds it disabled.
 */
export async function disableUser(database: Queryable, userId: string): Promise<void> {
  await database.query(
    "update users set disabled_at = now() where id = $1 and disabled_at is null",
    [userId],
  );
  await endSessions(database, userId, "disabled");
}

/** Log-ins that were ended stay so; API tokens work again. */
export async function enableUser(database: Queryable, userId: string): Promise<void> {
  await database.query("update users set disabled_at = null where id = $1", [userId]);
}

/** The user has asked to be erased, and it is not done. */
export async function isBeingErased(database: Queryable, userId: string): Promise<boolean> {
  const { rowCount } = await database.query(
    "select from personal_data_jobs where user_id = $1 and kind = 'erasure' and finished_at is null",
    [userId],
  );
  return rowCount !== 0;
}

interface OwnBot {
  readonly id: string;
  readonly namespace: string;
}

/** Bots of a user that are not gone; at most as many as one page holds. */
export async function botsOfUser(
  database: Queryable,
  {
    userId,
    after,
    limit,
  }: { readonly userId: string; readonly after: string; readonly limit: number },
): Promise<readonly OwnBot[]> {
  const { rows } = await database.query<OwnBot>(
    `select id, namespace from bots
      where user_id = $1 and gone_at is null and id > $2 order by id limit $3`,
    [userId, after, limit + 1],
  );
  return rows;
}
