import { afterAll, beforeAll, expect, test } from "vitest";
import { asTenant, createPool, type Queryable } from "../src/database.ts";
import { eventsAfter } from "../src/live/live-store.ts";
import { startDatabase, type TestDatabase } from "./database.ts";

/** Tables that belong to no user. Whoever adds one here says why. */
const WITHOUT_USER = [
  "audit_chain", // hashes of entries, in an order that is nobody's
  "audit_unchained", // ids of entries
  "known_halts", // of the cluster, and in one row: replicas of the journal ask whose the bot is, and then whether one concerns it
  "migrations", // names and checksums of the files in api/migrations
];

let database: TestDatabase;
beforeAll(async () => {
  database = await startDatabase();
});
afterAll(() => database.stop());

async function rowsOf(sql: string): Promise<readonly Record<string, unknown>[]> {
  return (await database.superuser.query<Record<string, unknown>>(sql)).rows;
}

const TABLES = `
  select c.oid, c.relname as name, c.relispartition, c.relrowsecurity and c.relforcerowsecurity as forced
    from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')`;

test("row-level security is forced on every table of a user", async () => {
  const tables = await rowsOf(TABLES);
  expect(tables.length).toBeGreaterThan(10);
  const open = tables.filter(({ forced }) => forced !== true).map(({ name }) => String(name));
  expect(open.toSorted()).toEqual(WITHOUT_USER);
});

test("every such table has policies, each for one named role and bound to a user or bot", async () => {
  const policies = await rowsOf(
    `select tablename, policyname, roles::text[] as roles, coalesce(qual, '') || coalesce(with_check, '') as rule
       from pg_policies where schemaname = 'public'`,
  );
  const tables = (await rowsOf(`${TABLES} and not c.relispartition`)).map(({ name }) =>
    String(name),
  );
  const covered = new Set(policies.map(({ tablename }) => String(tablename)));
  expect(tables.filter((name) => !covered.has(name)).toSorted()).toEqual(WITHOUT_USER);
  for (const policy of policies) expect(policy["roles"]).toHaveLength(1);
  expect(policies.flatMap(({ roles }) => roles)).not.toContain("public");
  // A partition is reached through its table, whose policies hold then; on its own it is closed to everybody but the owner.
  const ofPartitions = policies.filter(({ tablename }) => !tables.includes(String(tablename)));
  expect(ofPartitions.map(({ policyname }) => String(policyname)).toSorted()).toEqual([
    "equity_tidy",
    "events_tidy",
  ]);
  const unbound = policies.filter(({ rule }) => !/app\.(user|bot)_id/.test(String(rule)));
  expect(unbound.map(({ policyname }) => String(policyname)).toSorted()).toEqual([
    "accounts_administer",
    "accounts_work", // sweeps look for work among everybody's, as all that ends in work
    "api_tokens_look_up", // a token is looked up before anybody knows whose it is
    "audit_append_admin", // whoever acts writes it down, and reads it with another policy or not at all
    "audit_append_api",
    "audit_append_auth",
    "audit_append_owner",
    "audit_append_worker",
    "audit_chaining", // one process chains everybody's entries
    "audit_search", // for administrators, as all that ends in administer
    "bots_administer",
    "bots_work",
    "equity_tidy", // the owner alone, among rows that no month has
    "events_tidy",
    "halt_lifts_read", // the second person sees what the first one asked for
    "idempotency_keys_expire", // a sweep, which sees those alone whose day is over
    "journal_sessions_work",
    "mails_look_up", // whoever empties the outbox takes what is due, whosever it is
    "mails_remove",
    "mails_take",
    "personal_data_jobs_work",
    "reports_administer",
    "reports_stream", // the operator hears about every bot
    "sessions_count", // for administrators
    "sessions_look_up", // a refresh token names its session before anybody knows whose it is
    "trades_open_work", // whose gone paper bots have left trades open
    "users_administer",
    "users_give_role", // by address, for the command that gives roles
    "users_look_up", // before a login nobody knows the user's id
    "users_register",
    "users_see_roles", // for the same: whether an admin is left
    "users_work",
  ]);
});

test("a partition, also one that is made later, is closed to every role: rows are reached through their table alone", async () => {
  const worker = createPool({ url: database.workerUrl, connectionsMax: 1 });
  await worker.query("select keep_months(name, 5, 12) from unnest(array['equity', 'events']) name");
  await worker.end();
  const partitions = await rowsOf(
    `select t.name, t.forced,
            exists (select from pg_roles r, unnest(array['select', 'insert', 'update', 'delete', 'truncate']) may
                     where r.rolname like 'tradingbots%' and r.rolname <> 'tradingbots_owner'
                       and has_table_privilege(r.oid, t.oid, may)) as is_open
       from (${TABLES} and c.relispartition) t`,
  );
  expect(partitions).toHaveLength(2 * 7); // of before, five months and what is astray
  expect(partitions.filter((partition) => partition["is_open"] !== false)).toEqual([]);
  expect(partitions.filter(({ forced }) => forced !== true)).toEqual([]);
});

test("every such table has a key that leads with the user", async () => {
  const unled = await rowsOf(
    `with tables as (${TABLES})
     select name from tables t where not exists (
       select from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
        where i.indrelid = t.oid and i.indisunique
          and a.attname = case when t.name = 'users' then 'id' else 'user_id' end)`,
  );
  expect(unled.map(({ name }) => String(name)).toSorted()).toEqual(WITHOUT_USER);
});

test("the roles own nothing, pass nothing by and may create nothing", async () => {
  const roles = await rowsOf(
    `select rolname, rolsuper or rolbypassrls or rolcreaterole or rolcreatedb as strong,
            exists (select from pg_class c where c.relowner = r.oid) as owns,
            has_schema_privilege(rolname, 'public', 'create') as creates
       from pg_roles r
      where rolname like 'tradingbots%' and rolname <> 'tradingbots_owner' order by 1`,
  );
  const powerless = { strong: false, owns: false, creates: false };
  expect(roles).toEqual([
    { rolname: "tradingbots_admin", ...powerless },
    { rolname: "tradingbots_api", ...powerless },
    { rolname: "tradingbots_auth", ...powerless },
    { rolname: "tradingbots_journal", ...powerless },
    { rolname: "tradingbots_worker", ...powerless },
  ]);
});

const CHOSEN_BY_WHO_APPENDS = [
  "action",
  "actor_id",
  "actor_kind",
  "code",
  "details",
  "network",
  "object",
  "outcome",
  "request_id",
  "user_id",
];

test("whoever appends to the audit chooses neither an entry's id nor its time, and queues nothing for the chain", async () => {
  const rights = await rowsOf(
    `select rolname as role, has_table_privilege(r.oid, 'audit_unchained', 'insert') as queues,
            (select coalesce(json_agg(attname order by attname), '[]') from pg_attribute a
              where a.attrelid = 'audit'::regclass and a.attnum > 0
                and has_column_privilege(r.oid, a.attrelid, a.attnum, 'insert')) as chosen
       from pg_roles r where rolname like 'tradingbots%' and rolname <> 'tradingbots_owner' order by 1`,
  );
  const appends = { queues: false, chosen: CHOSEN_BY_WHO_APPENDS };
  expect(rights).toEqual([
    { role: "tradingbots_admin", ...appends },
    { role: "tradingbots_api", ...appends },
    { role: "tradingbots_auth", ...appends },
    { role: "tradingbots_journal", queues: false, chosen: [] },
    { role: "tradingbots_worker", ...appends },
  ]);
});

test("what runs with the owner's rights has a search path of its own, and is open to the roles that need it alone", async () => {
  const functions = await rowsOf(
    `select proname as name, coalesce('search_path=public, pg_temp' = any(proconfig), false) as fixed,
            (select json_agg(rolname order by rolname) from pg_roles r
              where rolname like 'tradingbots%' and rolname <> 'tradingbots_owner'
                and has_function_privilege(r.oid, p.oid, 'execute')) as roles
       from pg_proc p where pronamespace = 'public'::regnamespace and prosecdef order by 1`,
  );
  expect(functions).toEqual([
    { name: "audit_await_chain", fixed: true, roles: null },
    { name: "keep_months", fixed: true, roles: ["tradingbots_worker"] },
  ]);
});

const ALICE = "00000000-0000-4000-8000-00000000000a";
const BOB = "00000000-0000-4000-8000-00000000000b";

test("a pooled connection forgets the user of the transaction before", async () => {
  await database.superuser.query(
    `insert into users (id, email, password_hash, namespace) values
       ('${ALICE}', 'alice@example.com', 'x', 'tradingbots-00'),
       ('${BOB}', 'bob@example.com', 'x', 'tradingbots-01')`,
  );
  await database.superuser.query(
    `insert into bots (user_id, id, namespace) values
       ('${ALICE}', 'bot-alice', 'tradingbots-00'), ('${BOB}', 'bot-bob', 'tradingbots-01')`,
  );
  const pool = createPool({ url: database.apiUrl, connectionsMax: 1 });
  const idsSeen = async () => (await pool.query<{ id: string }>("select id from bots")).rows;
  expect(await idsSeen()).toEqual([]);
  const own = await asTenant(pool, { userId: ALICE }, (db) => db.query("select id from bots"));
  expect(own.rows).toEqual([{ id: "bot-alice" }]);
  expect(await idsSeen()).toEqual([]);
  await pool.end();
});

test("the API's role sees no password hash and adds nothing for another user", async () => {
  const pool = createPool({ url: database.apiUrl, connectionsMax: 1 });
  const asAlice = (sql: string) => asTenant(pool, { userId: ALICE }, (db) => db.query(sql));
  await expect(asAlice("select password_hash from users")).rejects.toThrow(/permission denied/);
  const foreign = `insert into bots (user_id, id, namespace) values ('${BOB}', 'bot-x', 'n')`;
  await expect(asAlice(foreign)).rejects.toThrow(/row-level security/);
  await pool.end();
});

test("the role that signs people up gives nobody a tier and changes nobody", async () => {
  const pool = createPool({ url: database.authUrl, connectionsMax: 1 });
  const user = (columns: string, values: string) =>
    pool.query(
      `insert into users (id, email, password_hash, namespace${columns})
       values ('00000000-0000-4000-8000-00000000000c', 'carol@example.com', 'x', 'tradingbots-00'${values})`,
    );
  await expect(user(", tier", ", 'pro'")).rejects.toThrow(/permission denied/);
  await expect(pool.query("update users set tier = 'pro'")).rejects.toThrow(/permission denied/);
  await expect(pool.query("delete from users")).rejects.toThrow(/permission denied/);
  await user("", "");
  const { rows } = await pool.query("select tier from users where email = 'carol@example.com'");
  expect(rows).toEqual([{ tier: "free" }]);
  await pool.end();
});

const session = (userId: string) =>
  `insert into sessions (user_id, id, proof_hash, refresh_hash, address, user_agent)
     values ('${userId}', gen_random_uuid(), sha256(''), sha256(''), '192.0.2.1', '')`;

test("the role that logs people in changes nothing but the sessions and password of one user", async () => {
  const pool = createPool({ url: database.authUrl, connectionsMax: 1 });
  const asAlice = (sql: string) => asTenant(pool, { userId: ALICE }, (db) => db.query(sql));
  await database.superuser.query(session(BOB));
  await expect(asAlice(session(BOB))).rejects.toThrow(/row-level security/);
  await asAlice(session(ALICE));
  const ended = await asAlice("update sessions set ended_at = now(), end_reason = 'logout'");
  expect(ended.rowCount).toBe(1);
  const revived = asAlice("update sessions set ended_at = null, end_reason = null");
  await expect(revived).rejects.toThrow(/stays ended/);
  expect((await asAlice("delete from sessions")).rowCount).toBe(1);
  expect((await asAlice("update users set password_hash = 'y'")).rowCount).toBe(1);
  expect((await pool.query("update users set password_hash = 'z'")).rowCount).toBe(0);
  expect((await pool.query("delete from sessions")).rowCount).toBe(0);
  await pool.end();
});

test("the journal's role speaks for one bot and cannot write for another user", async () => {
  const pool = createPool({ url: database.journalUrl, connectionsMax: 1 });
  const insert = (userId: string, botId: string) =>
    asTenant(pool, { botId: "bot-alice" }, (db) =>
      db.query(
        `insert into events (user_id, bot_id, epoch, sequence, kind, message, at)
         values ($1, $2, 1, 1, 'started', '', now())`,
        [userId, botId],
      ),
    );
  await expect(insert(BOB, "bot-alice")).rejects.toThrow(/row-level security/);
  await expect(insert(BOB, "bot-bob")).rejects.toThrow(/row-level security/);
  await insert(ALICE, "bot-alice");
  const seen = await asTenant(pool, { botId: "bot-bob" }, (db) =>
    db.query("select bot_id from events"),
  );
  expect(seen.rows).toEqual([]);
  await pool.end();
});

test("whoever reads for many who listen sees those, and whose they are is looked up once a question", async () => {
  await database.superuser.query(
    `insert into live_events (user_id, id, bot_id, kind, data)
     select user_id, id, 'bot-1', 'trade.opened', '{}'
       from unnest(array['${ALICE}', '${BOB}']::uuid[]) user_id, generate_series(1, 1000) id`,
  );
  await database.superuser.query("analyze live_events");
  const pool = createPool({ url: database.apiUrl, connectionsMax: 1 });
  const places = new Map([ALICE, BOB].map((userId) => [userId, 998]));
  const seenBy = (userIds: readonly string[]) =>
    asTenant(pool, { userIds }, async (db) => [...(await eventsAfter(db, places, 100)).keys()]);
  expect(await seenBy([ALICE, BOB])).toEqual([ALICE, BOB]);
  expect(await seenBy([BOB])).toEqual([BOB]);
  expect(await seenBy([])).toEqual([]);
  const lines: unknown[] = [];
  await asTenant(pool, { userIds: [ALICE, BOB] }, async (db) => {
    const explaining: Queryable = {
      query: async (text, values) => {
        const plan = await db.query<{ "QUERY PLAN": string }>(`explain ${text}`, values);
        lines.push(...plan.rows.map((row) => row["QUERY PLAN"].trim()));
        return { ...plan, rows: [] };
      },
    };
    await eventsAfter(explaining, places, 100);
  });
  // With the named users in it, each user's search would begin with reading all their names.
  expect(lines).toContain("Index Cond: ((user_id = place.user_id) AND (id > place.last_id))");
  await pool.end();
});

test("whom a transaction names is a set in every policy: an array is read anew for each row", async () => {
  const policies = await rowsOf(
    `select policyname as name, coalesce(qual, '') || coalesce(with_check, '') as rule from pg_policies`,
  );
  const named = policies.filter(({ rule }) => String(rule).includes("string_to_array"));
  expect(named.length).toBeGreaterThanOrEqual(4);
  const asArrays = named.filter(({ rule }) => !/unnest\(+string_to_array/.test(String(rule)));
  expect(asArrays.map(({ name }) => name)).toEqual([]);
});
