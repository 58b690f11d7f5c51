import { asTenant, atMostOne, type Queryable, type Database } from "./database.ts";
import { ApiError } from "./errors.ts";
import type { CustomObjects } from "./kube.ts";

/** The row beside a custom resource: whose it is and where. */
export interface OwnedRow {
  readonly id: string;
  readonly namespace: string;
  readonly retired_at: Date | null;
}

type Table = "accounts" | "bots";

interface Owned {
  readonly userId: string;
  readonly id: string;
}

const COLUMNS = "id, namespace, retired_at";

/** A row of the user that is not gone; undefined when there is none. */
export async function findOwned(
  database: Queryable,
  table: Table,
  { userId, id }: Owned,
): Promise<OwnedRow | undefined> {
  const { rows } = await database.query<OwnedRow>(
    `select ${COLUMNS} from ${table} where user_id = $1 and id = $2 and gone_at is null`,
    [userId, id],
  );
  return atMostOne(rows);
}

/** One row more than the limit, when there is one. */
export async function pageOfOwned(
  database: Queryable,
  table: Table,
  page: { readonly userId: string; readonly after: string; readonly limit: number },
): Promise<readonly OwnedRow[]> {
  const { rows } = await database.query<OwnedRow>(
    `select ${COLUMNS} from ${table}
      where user_id = $1 and gone_at is null and id > $2 order by id limit $3`,
    [page.userId, page.after, page.limit + 1],
  );
  return rows;
}

/** How many count against a limit: neither retired nor gone. */
export async function countLive(
  database: Queryable,
  table: Table,
  userId: string,
): Promise<number> {
  const { rows } = await database.query<{ count: number }>(
    `select count(*)::int as count from ${table}
      where user_id = $1 and retired_at is null and gone_at is null`,
    [userId],
  );
  return rows[0]?.count ?? 0;
}

/** The user has given it up; the first time counts. */
export async function markRetired(database: Queryable, table: Table, { userId, id }: Owned) {
  await database.query(
    `update ${table} set retired_at = now() where user_id = $1 and id = $2 and retired_at is null`,
    [userId, id],
  );
}

/** The API has the custom resource of an account in hand: when that is gone one day, nothing is left to end. */
export async function markAccountMade(database: Queryable, { userId, id }: Owned) {
  await database.query(
    "update accounts set made_at = now() where user_id = $1 and id = $2 and made_at is null",
    [userId, id],
  );
}

/** There is no custom resource, and none will come. */
async function markGone(database: Queryable, table: Table, { userId, id }: Owned) {
  await database.query(
    `update ${table} set gone_at = now() where user_id = $1 and id = $2 and gone_at is null`,
    [userId, id],
  );
}

/** A creation that never came to its custom resource is over after this time: no request lasts so long. */
const HALF_MADE_FOR = "10 minutes";

/**
 * The same, judged by the row as it is now: a repeated request may just have begun to create it anew. An account that was never seen may
 * have left its key in Vault: only the sweep of half-made ones knows how to end it.
 */
async function markGoneUnlessHalfMade(database: Queryable, table: Table, { userId, id }: Owned) {
  const isSeen = table === "accounts" ? "made_at is not null" : "true";
  await database.query(
    `update ${table} set gone_at = now()
      where user_id = $1 and id = $2 and gone_at is null and ${isSeen}
        and (retired_at is not null or created_at < now() - interval '${HALF_MADE_FOR}')`,
    [userId, id],
  );
}

/** What an earlier request left: `counted` counts against the limits already. */
export type Attempt = "none" | "counted" | "gone";

/**
 * What an earlier request with the same Idempotency-Key left.
 * @throws ApiError `not_found` when the user has given up what it made
 */
export async function earlierAttempt(
  database: Queryable,
  table: Table,
  { userId, id }: Owned,
): Promise<Attempt> {
  const { rows } = await database.query<{ retired: boolean; gone: boolean }>(
    `select retired_at is not null as retired, gone_at is not null as gone
       from ${table} where user_id = $1 and id = $2`,
    [userId, id],
  );
  const row = atMostOne(rows);
  if (row === undefined) return "none";
  if (row.retired) {
    throw new ApiError("not_found", `${id} was created and given up since: use a new key`);
  }
  return row.gone ? "gone" : "counted";
}

interface Source<T> {
  readonly pool: Database;
  readonly table: Table;
  readonly objects: Pick<CustomObjects<T>, "get">;
}

interface OwnedObject {
  readonly spec: { readonly userId: string };
}

/**
 * Makes the custom resource of a row, or answers the one that an earlier attempt made. When it is refused, and there is
 * none, a bot's row counts no more; an account's stays for the sweep, because its key may be in Vault.
 */
export async function createOwned<T extends OwnedObject>(
  { pool, table, objects }: Source<T>,
  { userId, id, namespace }: Owned & { readonly namespace: string },
  create: () => Promise<T>,
): Promise<T> {
  try {
    return await create();
  } catch (error) {
    // Without an answer it may exist: then the row stays, and its next reading decides.
    if (error instanceof ApiError && error.code === "cluster_unavailable") throw error;
    const existing = await objects.get({ namespace, name: id });
    if (existing?.spec.userId === userId) return existing;
    if (table === "bots") {
      await asTenant(pool, { userId }, (database) => markGone(database, table, { userId, id }));
    }
    throw error;
  }
}

/** Reads the custom resource of a row. When it is gone for good, the row is told so, and undefined is the answer. */
export async function loadOwned<T extends OwnedObject>(
  { pool, table, objects }: Source<T>,
  userId: string,
  row: OwnedRow,
): Promise<T | undefined> {
  const object = await objects.get({ namespace: row.namespace, name: row.id });
  if (object !== undefined) return object.spec.userId === userId ? object : undefined;
  await asTenant(pool, { userId }, (database) =>
    markGoneUnlessHalfMade(database, table, { userId, id: row.id }),
  );
  return undefined;
}
