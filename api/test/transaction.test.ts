import { afterAll, beforeAll, expect, test } from "vitest";
import { createPool, inTransaction, type Queryable } from "../src/database.ts";
import { startDatabase, type TestDatabase } from "./database.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await startDatabase();
});
afterAll(() => database.stop());

async function pidOf(transaction: Queryable): Promise<number | undefined> {
  const { rows } = await transaction.query<{ pid: number }>("select pg_backend_pid() as pid");
  return rows[0]?.pid;
}

/** As when the server restarts. */
const cut = async (pid: number | undefined) =>
  database.superuser.query("select pg_terminate_backend($1, 5000)", [pid]);

test.for<[string, (transaction: Queryable) => Promise<unknown>]>([
  ["between two statements", async (transaction) => cut(await pidOf(transaction))],
  [
    "during a statement",
    async (transaction) => {
      const pid = await pidOf(transaction);
      await Promise.all([transaction.query("select pg_sleep(10)"), cut(pid)]);
    },
  ],
])("a connection that ends %s fails its transaction and nothing else", async ([, work]) => {
  const pool = createPool({ url: database.journalUrl, connectionsMax: 1 });
  const failed = inTransaction(pool, async (transaction) => {
    await work(transaction);
    await transaction.query("select 1");
  });
  await expect(failed).rejects.toThrow(/terminat|not queryable/);
  const next = await inTransaction(pool, (transaction) => transaction.query("select 1 as one"));
  expect(next.rows).toEqual([{ one: 1 }]);
  await pool.end();
});
