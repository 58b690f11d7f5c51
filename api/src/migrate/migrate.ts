import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { DatabaseError } from "pg";
import type { Queryable } from "../database.ts";

/** Any number will do, as long as nothing else in the database locks the same one. */
const LOCK_KEY = 7_201_964;
const FILE_NAME = /^\d{4}_[a-z0-9_]+\.sql$/;

/**
 * Whoever waits for a lock of a whole table has everybody else wait behind it. So a migration gives up after this, lets them pass and
 * begins again.
 */
const LOCK_WAIT_MS = 1_000;
const PAUSE_MS = 2_000;
/** About five minutes: then somebody holds the table who had better be looked for. */
const ATTEMPTS_MAX = 100;
/** lock_not_available, deadlock_detected */
const HELD_BY_OTHERS = new Set(["55P03", "40P01"]);

interface Migration {
  readonly name: string;
  readonly sql: string;
  readonly checksum: string;
}

/** The migrations of a directory in the order of their names. */
export async function readMigrations(directory: string): Promise<readonly Migration[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith(".sql")).toSorted();
  return Promise.all(
    names.map(async (name) => {
      if (!FILE_NAME.test(name)) throw new Error(`${name}: call it 0001_what_it_does.sql`);
      const sql = await readFile(join(directory, name), "utf8");
      return { name, sql, checksum: createHash("sha256").update(sql).digest("hex") };
    }),
  );
}

/**
 * Runs `work` while no other migrator works on this database. The lock belongs to the connection: should the process
 * die, it is free again.
 */
export async function withMigrationLock<T>(
  connection: Queryable,
  work: () => Promise<T>,
): Promise<T> {
  await connection.query("select pg_advisory_lock($1)", [LOCK_KEY]);
  try {
    return await work();
  } finally {
    await connection.query("select pg_advisory_unlock($1)", [LOCK_KEY]);
  }
}

/**
 * Applies what is new, each file in a transaction of its own, and answers the names. A file that has been applied must
 * stay as it was: what is wrong in it is mended by a further file. What others hold is tried again for five minutes.
 */
export async function migrate(
  connection: Queryable,
  migrations: readonly Migration[],
): Promise<readonly string[]> {
  await connection.query(
    `create table if not exists migrations (
       name text primary key, checksum text not null, applied_at timestamptz not null default now()
     )`,
  );
  const { rows } = await connection.query<{ name: string; checksum: string }>(
    "select name, checksum from migrations order by name",
  );
  const applied = new Map(rows.map((row) => [row.name, row.checksum]));
  assertUnchanged(migrations, applied);

  const fresh = migrations.filter(({ name }) => !applied.has(name));
  for (const migration of fresh) await apply(connection, migration);
  return fresh.map(({ name }) => name);
}

function assertUnchanged(
  migrations: readonly Migration[],
  applied: ReadonlyMap<string, string>,
): void {
  const known = new Map(migrations.map(({ name, checksum }) => [name, checksum]));
  for (const [name, checksum] of applied) {
    if (!known.has(name)) throw new Error(`the database has ${name}, which this version lacks`);
    if (known.get(name) !== checksum) {
      throw new Error(`${name} was changed after it had been applied: add a new migration instead`);
    }
  }
  const last = [...applied.keys()].at(-1) ?? "";
  const late = migrations.find(({ name }) => !applied.has(name) && name < last);
  if (late !== undefined) throw new Error(`${late.name} comes before ${last}, which is applied`);
}

async function apply(connection: Queryable, migration: Migration): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await applyOnce(connection, migration);
      return;
    } catch (error) {
      const isHeld = error instanceof DatabaseError && HELD_BY_OTHERS.has(error.code ?? "");
      if (isHeld && attempt < ATTEMPTS_MAX) await sleep(PAUSE_MS);
      else throw new Error(`while applying ${migration.name}`, { cause: error });
    }
  }
}

async function applyOnce(connection: Queryable, { name, sql, checksum }: Migration): Promise<void> {
  try {
    await connection.query("begin");
    await connection.query(`set local lock_timeout = ${LOCK_WAIT_MS}`);
    await connection.query(sql);
    await connection.query("insert into migrations (name, checksum) values ($1, $2)", [
      name,
      checksum,
    ]);
    await connection.query("commit");
  } catch (error) {
    await connection.query("rollback");
    throw error;
  }
}
