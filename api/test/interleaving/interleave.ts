import { randomInt, randomUUID } from "node:crypto";
import type { Pool } from "pg";
import { asTenant, createPool, type Queryable } from "../../src/database.ts";
import type { TestDatabase } from "../database.ts";

const USERS = 50;
const BOTS_PER_USER = 3;
/** Fewer connections than users: every one of them is used by everybody in turns. */
const CONNECTIONS = 2;
const AT_ONCE = 64;

export interface Interleaved {
  readonly transactions: number;
  readonly rowsSeen: number;
  /** Transactions that an injected error ended. */
  readonly failed: number;
  /** What was seen or changed that belongs to somebody else. */
  readonly leaks: readonly string[];
}

interface World {
  readonly pool: Pool;
  readonly superuser: Pool;
}

/** One transaction of a user: answers the rows that it saw, or throws what was injected. */
type Work = (database: Queryable, userId: string) => Promise<readonly { user_id: string }[]>;

class Injected extends Error {}

const select: Work = async (database) =>
  (await database.query<{ user_id: string }>("select user_id from bots")).rows;

const KINDS: readonly (readonly [weight: number, work: Work])[] = [
  [6, select],
  [
    3,
    async (database) => {
      const sql = "update bots set created_at = created_at returning user_id";
      return (await database.query<{ user_id: string }>(sql)).rows;
    },
  ],
  [
    1,
    async (database, userId) => {
      await database.query(
        "insert into idempotency_keys (user_id, key, request, object_id) values ($1, $2, '', '')",
        [userId, randomUUID()],
      );
      return (
        await database.query<{ user_id: string }>("select user_id from idempotency_keys limit 50")
      ).rows;
    },
  ],
  [
    2,
    async (...given) => {
      await select(...given);
      throw new Injected("thrown by the caller");
    },
  ],
  [
    1,
    async (database) => {
      await database.query("select 1 / 0");
      return [];
    },
  ],
  [
    1,
    async (...given) => {
      // A statement that failed and was caught: the transaction is over, and the next statement must not run outside of it.
      await given[0].query("select no_such_column from bots").catch(() => {});
      return select(...given);
    },
  ],
];

/** Runs so many transactions of many users on a small pool, with errors of every kind between them. */
export async function interleave(database: TestDatabase, count: number): Promise<Interleaved> {
  const users = await createUsers(database);
  const pool = createPool({ url: database.apiUrl, connectionsMax: CONNECTIONS });
  const superuser = createPool({ url: database.superuserUrl, connectionsMax: 1 });
  const world = { pool, superuser };
  const leaks: string[] = [];
  let [transactions, rowsSeen, failed] = [0, 0, 0];
  const worker = async () => {
    while (transactions < count) {
      transactions += 1;
      const userId = users[randomInt(users.length)] ?? "";
      const rows = await transact(world, userId).catch(() => undefined);
      if (rows === undefined) failed += 1;
      rowsSeen += rows?.length ?? 0;
      const foreign = rows?.filter(({ user_id }) => user_id !== userId) ?? [];
      leaks.push(...foreign.map(({ user_id }) => `${userId} saw ${user_id}`));
      if (randomInt(20) === 0) leaks.push(...(await seenByNobody(pool)));
      if (randomInt(500) === 0) await killOne(world);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  await Promise.all([pool.end(), superuser.end()]);
  return { transactions, rowsSeen, failed, leaks };
}

async function transact({ pool }: World, userId: string): Promise<readonly { user_id: string }[]> {
  const work = anyWork();
  return asTenant(pool, { userId }, (database) => work(database, userId));
}

function anyWork(): Work {
  const all = KINDS.flatMap(([weight, work]) => Array.from({ length: weight }, () => work));
  return all[randomInt(all.length)] ?? select;
}

/** Outside of a transaction nobody's rows are seen, whoever used the connection before. */
async function seenByNobody(pool: Pool): Promise<readonly string[]> {
  const { rows } = await pool
    .query<{ user_id: string }>("select user_id from bots")
    .catch(() => ({ rows: [] }));
  return rows.map(({ user_id }) => `nobody saw ${user_id}`);
}

/** Cuts one of the pool's connections, whatever it is doing. */
async function killOne({ superuser }: World): Promise<void> {
  await superuser.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
      where usename = 'tradingbots_api' order by random() limit 1`,
  );
}

async function createUsers({ superuser }: TestDatabase): Promise<readonly string[]> {
  const { rows } = await superuser.query<{ id: string }>(
    `insert into users (id, email, password_hash, namespace)
     select gen_random_uuid(), 'pooled-' || n || '@example.com', 'x', 'tradingbots-00'
       from generate_series(1, $1::int) n returning id`,
    [USERS],
  );
  await superuser.query(
    `insert into bots (user_id, id, namespace)
     select id, 'bot-' || substr(id::text, 1, 18) || n, namespace
       from users, generate_series(1, $1::int) n where email like 'pooled-%'`,
    [BOTS_PER_USER],
  );
  return rows.map(({ id }) => id);
}
