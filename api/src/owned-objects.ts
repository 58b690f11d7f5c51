import { asTenant, atMostOne, type Queryable, type Database } from "./database.ts";
import type { CustomObjects } from "./kube.ts";

/** The row beside a custom resource: whose it is and where. */
export interface OwnedRow {
  readonly id: string;
  readonly namespace: string;
  readonly created_at: Date;
  readonly retired_at: Date | null;
}

type Table = "accounts" | "bots";

interface Owned {
  readonly userId: string;
  readonly id: string;
}

const COLUMNS = "id, namespace, created_at, retired_at";

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

/** There is no custom resource, and none will come. */
export async function markGone(database: Queryable, table: Table, { userId, id }: Owned) {
  await database.query(
    `update ${table} set gone_at = now() where user_id = $1 and id = $2 and gone_at is null`,
    [userId, id],
  );
}

/** A creation that never came to its custom resource is over after this time: no request lasts so long. */
const HALF_MADE_FOR_MS = 10 * 60_000;

interface LoadDeps<T> {
  readonly pool: Database;
  readonly table: Table;
  readonly objects: Pick<CustomObjects<T>, "get">;
}

/** Reads the custom resource of a row. When it is gone for good, the row is told so, and undefined is the answer. */
export async function loadOwned<T extends { readonly spec: { readonly userId: string } }>(
  { pool, table, objects }: LoadDeps<T>,
  userId: string,
  row: OwnedRow,
): Promise<T | undefined> {
  const object = await objects.get({ namespace: row.namespace, name: row.id });
  if (object !== undefined) return object.spec.userId === userId ? object : undefined;
  const isOver =
    row.retired_at !== null || row.created_at.getTime() < Date.now() - HALF_MADE_FOR_MS;
  if (isOver) {
    await asTenant(pool, { userId }, (database) =>
      markGone(database, table, { userId, id: row.id }),
    );
  }
  return undefined;
}
