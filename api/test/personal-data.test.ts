import { once } from "node:events";
import { get, IncomingMessage } from "node:http";
import { text as wholeText } from "node:stream/consumers";
import { BotState, ExchangeAccount, TradingBot } from "@tradingbots/crds";
import { customResource } from "@tradingbots/kube";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { z } from "zod";
import { sweepHalfMade } from "../src/accounts/half-made.ts";
import { createPool } from "../src/database.ts";
import { createKube } from "../src/kube.ts";
import { DATASETS } from "../src/personal-data/datasets.ts";
import { FORGOTTEN, KEPT } from "../src/personal-data/erase.ts";
import { workOnPersonalData } from "../src/personal-data/work.ts";
import { caller, signUp, startApi, type TestApi, type TestUser } from "./api.ts";

let api: TestApi;
let workerPool: ReturnType<typeof createPool>;
let deps: Parameters<typeof workOnPersonalData>[0];
const failures: unknown[] = [];

function onError(error: unknown): void {
  failures.push(error);
}

function die(): never {
  throw new Error("died");
}

beforeAll(async () => {
  api = await startApi();
  workerPool = createPool({ url: api.database.workerUrl, connectionsMax: 4 });
  const kube = createKube(api.cluster.client);
  deps = { pool: api.pool, workerPool, kube, onError };
});
afterAll(async () => {
  await workerPool.end();
  await api.stop();
});

const KEY = { apiKey: "the-key", apiSecret: "the-secret" };
const ACCOUNT = { exchange: "bybit", name: "Savings", testnet: true, credentials: KEY };
const BOT = {
  displayName: "My robot",
  exchange: "bybit",
  mode: "paper",
  symbols: ["BTC/USDT:USDT"],
  strategy: { name: "rsi", params: {} },
  state: "Running",
};
const WithId = z.object({ id: z.string() });
const JobView = z.object({
  id: z.string(),
  status: z.string(),
  detail: z.string(),
  files: z.array(z.object({ name: z.string(), bytes: z.int() })),
});

interface Belongings {
  readonly bot: string;
  readonly account: string;
}

/** Something in every table that has a user. */
async function belongings(user: TestUser): Promise<Belongings> {
  const account = WithId.parse((await user.call("POST /api/accounts", { body: ACCOUNT })).body).id;
  const bot = WithId.parse((await user.call("POST /api/bots", { body: BOT })).body).id;
  await api.database.superuser.query(
    `insert into trades (user_id, bot_id, id, epoch, sequence, symbol, side, quantity, entry_price, pnl, fees, opened_at, closed_at, reason)
     select '${user.id}', '${bot}', gen_random_uuid(), 1, n, 'BTC/USDT:USDT', 'long', 1, 100, -1.5, 0.1,
            timestamptz '2026-01-01' + n * interval '1 minute', timestamptz '2026-01-02', '=evil()'
       from generate_series(1, 2500) n;
     insert into orders (user_id, bot_id, epoch, sequence, client_order_id, symbol, purpose, side, quantity, status, at)
     values ('${user.id}', '${bot}', 1, 1, gen_random_uuid(), 'BTC/USDT:USDT', 'entry', 'buy', 1, 'filled', now());
     insert into fills (user_id, bot_id, execution_id, epoch, sequence, trade_id, symbol, purpose, side, price, quantity, fee, fee_currency, at)
     values ('${user.id}', '${bot}', 'x-${bot}', 1, 2, gen_random_uuid(), 'BTC/USDT:USDT', 'entry', 'buy', 100, 1, 0.1, 'USDT', now());
     insert into equity (user_id, bot_id, epoch, sequence, equity, available, currency, at)
     values ('${user.id}', '${bot}', 1, 3, 1000, 900, 'USDT', now());
     insert into events (user_id, bot_id, epoch, sequence, kind, message, at)
     values ('${user.id}', '${bot}', 1, 4, 'started', 'hello', now());
     insert into journal_sessions (user_id, bot_id, epoch, pod_uid, token_issued)
     values ('${user.id}', '${bot}', 1, 'pod', now());
     insert into live_heads (user_id, last_id) values ('${user.id}', 1);
     insert into live_events (user_id, id, bot_id, kind, data) values ('${user.id}', 1, '${bot}', 'state', '{}');
     insert into journal_leases (user_id, bot_id, epoch, pod_uid, expires_at)
     values ('${user.id}', '${bot}', 1, 'pod', now());
     insert into funding (user_id, bot_id, execution_id, epoch, sequence, trade_id, symbol, amount, currency, at)
     values ('${user.id}', '${bot}', 'f-${bot}', 1, 5, gen_random_uuid(), 'BTC/USDT:USDT', -0.01, 'USDT', now());
     insert into request_results (user_id, bot_id, id, action, symbol, status, message, at)
     values ('${user.id}', '${bot}', gen_random_uuid(), 'ClosePosition', 'BTC/USDT:USDT', 'done', 'closed', now());
     insert into notices (user_id, kind, message) values ('${user.id}', 'test', 'hello')`,
  );
  return { account, bot };
}

async function turn(): Promise<void> {
  await workOnPersonalData(deps);
  expect(failures.splice(0)).toEqual([]);
}

async function begin(user: TestUser, kind: "export" | "erasure"): Promise<string> {
  const { status, body } = await user.call(`POST /api/personal-data/${kind}`);
  expect(status).toBe(202);
  return WithId.parse(body).id;
}

async function jobOf(user: TestUser, id: string): Promise<z.infer<typeof JobView>> {
  return JobView.parse((await user.call(`GET /api/personal-data/${id}`)).body);
}

test("an export holds all that is the user's in two formats, and nothing of anybody else", async () => {
  const user = await signUp(api, "exporting");
  const other = await signUp(api, "neighbour");
  const { bot, account } = await belongings(user);
  const foreign = await belongings(other);
  await api.database.superuser.query(
    `insert into second_factors (user_id, totp_sealed, totp_confirmed_at)
     values ($1, '\\x00', '2026-01-02T03:04:05Z'), ($2, '\\x00', now())`,
    [user.id, other.id],
  );
  const id = await begin(user, "export");
  expect(await begin(user, "export")).toBe(id); // asked twice is one
  expect(await jobOf(user, id)).toMatchObject({ status: "waiting", files: [] });
  await turn();
  const { status, files } = await jobOf(user, id);
  expect(status).toBe("done");
  expect(await begin(user, "export")).toBe(id); // and soon after too

  const texts = new Map<string, string>();
  const sizes: { readonly name: string; readonly bytes: number }[] = [];
  for (const { name, bytes } of files) {
    const answer = await user.call(`GET /api/personal-data/${id}/files/${name}`);
    const text = typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body);
    texts.set(name, text);
    sizes.push({ name, bytes });
  }
  const csvSizes = sizes.filter(({ name }) => name.endsWith(".csv"));
  expect(csvSizes).toEqual(
    csvSizes.map(({ name }) => ({ name, bytes: Buffer.byteLength(texts.get(name) ?? "") })),
  );
  const all = [...texts.values()].join("\n");
  const rowsIn = (name: string) => z.array(z.unknown()).parse(JSON.parse(texts.get(name) ?? ""));
  expect(files).toHaveLength(2 * 17);
  expect(rowsIn("profile.json")).toMatchObject([{ email: "exporting@example.com" }]);
  expect(rowsIn("authenticator.json")).toEqual([{ confirmed_at: "2026-01-02T03:04:05.000Z" }]);
  expect(rowsIn("trades.json")).toHaveLength(2_500);
  expect(texts.get("trades.csv")?.trim().split("\r\n")).toHaveLength(2_501);
  expect(texts.get("trades.csv")).toContain(",-1.5,0.1,0,");
  expect(texts.get("passkeys.csv")).toBe("name,created_at,vouched_at,last_used_at\r\n");
  expect(texts.get("trades.csv")).toContain(",'=evil()");
  expect(rowsIn("bots.json")).toMatchObject([{ id: bot, settings: { displayName: "My robot" } }]);
  expect(rowsIn("accounts.json")).toMatchObject([{ id: account, settings: { name: "Savings" } }]);
  for (const name of [
    "orders",
    "fills",
    "funding",
    "equity",
    "events",
    "requests",
    "notices",
    "log-ins",
  ]) {
    expect({ name, rows: rowsIn(`${name}.json`).length }).toEqual({ name, rows: 1 });
  }
  expect(rowsIn("audit.json").length).toBeGreaterThan(2);
  for (const secret of [...Object.values(KEY), "$2b$", other.id, foreign.bot, "neighbour"]) {
    expect(all).not.toContain(secret);
  }

  for (const path of [id, `${id}/files/trades.csv`]) {
    expect((await other.call(`GET /api/personal-data/${path}`)).status).toBe(404);
    expect((await caller(api)(`GET /api/personal-data/${path}`)).status).toBe(401);
  }
  expect((await user.call(`GET /api/personal-data/${id}/files/other.csv`)).status).toBe(404);
});

test("an export begins anew after a crash and is gone after a week", async () => {
  const user = await signUp(api, "crashing");
  const id = await begin(user, "export");
  const kube = { ...deps.kube, bots: { ...deps.kube.bots, get: die } };
  await user.call("POST /api/bots", { body: BOT });
  await workOnPersonalData({ ...deps, kube });
  expect(failures.splice(0)).toMatchObject([{ message: "died" }]);
  expect(await jobOf(user, id)).toMatchObject({ status: "running", files: [] });
  await turn();
  expect(await jobOf(user, id)).toMatchObject({ status: "done" });
  await api.database.superuser.query(
    "update personal_data_jobs set finished_at = now() - interval '8 days' where id = $1",
    [id],
  );
  await turn();
  expect((await user.call(`GET /api/personal-data/${id}`)).status).toBe(404);
  const { rows } = await api.database.superuser.query(
    "select 1 from personal_data_parts where job_id = $1",
    [id],
  );
  expect(rows).toEqual([]);
});

test("an export that always fails ends", async () => {
  const user = await signUp(api, "unlucky");
  await user.call("POST /api/bots", { body: BOT });
  const id = await begin(user, "export");
  const kube = { ...deps.kube, bots: { ...deps.kube.bots, get: die } };
  for (let time = 0; time < 5; time++) await workOnPersonalData({ ...deps, kube });
  expect(failures.splice(0)).toHaveLength(5);
  expect(await jobOf(user, id)).toMatchObject({ status: "failed" });
  expect(await begin(user, "export")).not.toBe(id);
});

/** As if it had been asked for two hours ago: the next is another. */
async function ageExport(id: string): Promise<void> {
  await api.database.superuser.query(
    "update personal_data_jobs set created_at = created_at - interval '2 hours' where id = $1",
    [id],
  );
}

async function failedExport(user: TestUser): Promise<string> {
  const id = await begin(user, "export");
  const kube = { ...deps.kube, bots: { ...deps.kube.bots, get: die } };
  for (let time = 0; time < 5; time++) await workOnPersonalData({ ...deps, kube });
  expect(failures.splice(0)).toHaveLength(5);
  return id;
}

async function exportsOf(user: TestUser) {
  const { rows } = await api.database.superuser.query(
    `select id, status, (select count(*) > 0 from personal_data_parts where job_id = id) as has_parts
       from personal_data_jobs where user_id = $1 order by created_at`,
    [user.id],
  );
  return rows as unknown;
}

test("an export takes the place of the one before it, and one that failed only of one that failed", async () => {
  const user = await signUp(api, "collector");
  await user.call("POST /api/bots", { body: BOT });
  const first = await begin(user, "export");
  await turn();
  await ageExport(first);
  await failedExport(user);
  const failed = await failedExport(user);
  expect(await exportsOf(user)).toEqual([
    { id: first, status: "done", has_parts: true },
    { id: failed, status: "failed", has_parts: true },
  ]);
  const last = await begin(user, "export");
  await turn();
  expect(await exportsOf(user)).toEqual([{ id: last, status: "done", has_parts: true }]);
  expect((await user.call(`GET /api/personal-data/${first}`)).status).toBe(404);
});

test("a file that goes while it is read is cut off and does not look whole", async () => {
  const user = await signUp(api, "reading");
  const id = await begin(user, "export");
  await turn();
  const { superuser } = api.database;
  // More than all that lies between us and whoever does not read.
  await superuser.query(
    `insert into personal_data_parts (user_id, job_id, file, number, content)
     select $1, $2, 'big.csv', n, repeat('x', 262144) from generate_series(0, 199) n`,
    [user.id, id],
  );
  const url = await api.app.listen({ host: "127.0.0.1", port: 0 });
  const authorization = `Bearer ${user.accessToken}`;
  const file = get(`${url}/api/personal-data/${id}/files/big.csv`, { headers: { authorization } });
  const [answer] = z.tuple([z.instanceof(IncomingMessage)]).parse(await once(file, "response"));
  expect(answer.statusCode).toBe(200);
  await superuser.query("delete from personal_data_jobs where id = $1", [id]);
  await expect(wholeText(answer)).rejects.toThrow("aborted");
});

async function stateOf(kind: "bot" | "account", id: string): Promise<string | undefined> {
  const table = kind === "bot" ? "bots" : "accounts";
  const { rows } = await api.database.superuser.query<{ namespace: string }>(
    `select namespace from ${table} where id = $1`,
    [id],
  );
  const key = { namespace: rows[0]?.namespace ?? "", name: id };
  const object =
    kind === "bot"
      ? await api.cluster.admin.get(customResource(TradingBot), key)
      : await api.cluster.admin.get(customResource(ExchangeAccount), key);
  return object?.spec.state;
}

/** What the operator does when a bot is flat, or an account's key is gone. */
async function operatorRemoves(kind: "bot" | "account", id: string): Promise<void> {
  const table = kind === "bot" ? "bots" : "accounts";
  const { rows } = await api.database.superuser.query<{ namespace: string }>(
    `select namespace from ${table} where id = $1`,
    [id],
  );
  const key = { namespace: rows[0]?.namespace ?? "", name: id };
  if (kind === "bot") await api.cluster.admin.remove(customResource(TradingBot), key);
  else await api.cluster.admin.remove(customResource(ExchangeAccount), key);
}

/** Every table with a user, and how many rows of the user it has. */
async function rowsOf(userId: string): Promise<Readonly<Record<string, number>>> {
  const { superuser } = api.database;
  const { rows: tables } = await superuser.query<{ name: string }>(
    `select c.relname as name from pg_attribute a join pg_class c on c.oid = a.attrelid
      where a.attname = 'user_id' and c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
        and not c.relispartition
      union all select 'users'`,
  );
  const counts = new Map<string, number>();
  for (const { name } of tables) {
    const column = name === "users" ? "id" : "user_id";
    const { rows } = await superuser.query<{ count: number }>(
      `select count(*)::int as count from ${name} where ${column} = $1`,
      [userId],
    );
    if (rows[0] !== undefined && rows[0].count > 0) counts.set(name, rows[0].count);
  }
  return Object.fromEntries(counts);
}

/** Rows that outlive their user, and why that is allowed. */
const STAYING = [
  "audit", // random ids alone, and nobody may change it
  "personal_data_jobs", // that the erasure was done
];

test("no table with a user is forgotten by an erasure", async () => {
  const { rows } = await api.database.superuser.query<{ name: string }>(
    `with recursive going as (
       select 'users'::regclass::oid as id
        union select c.conrelid from pg_constraint c join going g on c.confrelid = g.id
         where c.contype = 'f' and c.confdeltype = 'c')
     select c.relname as name from pg_attribute a join pg_class c on c.oid = a.attrelid
      where a.attname = 'user_id' and c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
        and not c.relispartition and c.oid not in (select id from going)
      order by 1`,
  );
  const named = [...STAYING, ...FORGOTTEN, ...KEPT.map(({ table }) => table)].toSorted((a, b) =>
    a.localeCompare(b),
  );
  expect(rows.map(({ name }) => name)).toEqual(named);
  const { rows: held } = await api.database.superuser.query(
    `with recursive going as (
       select 'users'::regclass::oid as id
        union select c.conrelid from pg_constraint c join going g on c.confrelid = g.id where c.contype = 'f')
     select conrelid::regclass::text as of_table, conname from pg_constraint
      where contype = 'f' and confdeltype <> 'c' and conparentid = 0 and confrelid in (select id from going)`,
  );
  expect(held).toEqual([]); // it would keep the user's row from going
});

/** Tables that no export shows, and why. */
const NOT_EXPORTED = [
  "accounts", // as accounts.json, with what the custom resource says
  "bots",
  "commitments", // of minutes, about orders that are exported
  "day_baselines", // a sum of what equity says
  "email_tokens", // secrets
  "halt_lifts", // an administrator's deed: the audit tells of it
  "idempotency_keys", // of a day, about what is exported
  "journal_leases", // of pods
  "journal_sessions",
  "live_events", // the last of what trades and events tell
  "live_heads",
  "mails", // sealed until they are sent
  "personal_data_jobs", // the export itself
  "personal_data_parts",
  "recovery_codes", // hashes
  "reports", // what positions are now
];

test("no table with a user is forgotten by an export", async () => {
  const { rows } = await api.database.superuser.query<{ name: string }>(
    `select c.relname as name from pg_attribute a join pg_class c on c.oid = a.attrelid
      where a.attname = 'user_id' and c.relnamespace = 'public'::regnamespace
        and c.relkind in ('r', 'p') and not c.relispartition`,
  );
  const read = Object.values(DATASETS).join("\n");
  const unread = rows.map(({ name }) => name).filter((name) => !read.includes(`from ${name} `));
  expect(unread.toSorted((a, b) => a.localeCompare(b))).toEqual(NOT_EXPORTED);
});

/** Columns of exported tables that no export shows, and why. */
const COLUMNS_NOT_EXPORTED = [
  "api_tokens.hash", // secrets
  "api_tokens.id", // random, of no use outside
  "audit.actor_id", // it may be another person: an administrator
  "audit.request_id", // random, of no use outside
  "equity.epoch", // the journal's own order, here and below
  "equity.sequence",
  "events.epoch",
  "events.sequence",
  "fills.epoch",
  "fills.sequence",
  "funding.epoch",
  "funding.sequence",
  "intents.attempt", // how the bot counts what it tries
  "intents.epoch",
  "intents.is_open", // its order tells how it ended
  "orders.epoch",
  "orders.sequence",
  "passkeys.challenged_at", // against answers that come twice
  "passkeys.counter",
  "passkeys.id", // the authenticator's own; a name tells passkeys apart
  "passkeys.public_key",
  "passkeys.transports",
  "request_results.heard_at", // the journal's own order
  "second_factors.failed_at", // against guesses
  "second_factors.failures",
  "second_factors.totp_last_step",
  "second_factors.totp_sealed", // a secret
  "sessions.previous_hash", // secrets
  "sessions.proof_hash",
  "sessions.refresh_hash",
  "trades.epoch",
  "trades.sequence",
  "users.bots_settled_at", // how far our own work is
  "users.password_hash", // a secret
  "users.tier_changed_at", // how far our own work is: the audit tells of changes
];

test("no column of an exported table is forgotten by an export", async () => {
  const { superuser } = api.database;
  await superuser.query("begin");
  for (const [name, sql] of Object.entries(DATASETS)) {
    await superuser.query(`create temporary view "export-${name}" as ${sql}`);
  }
  const { rows } = await superuser.query<{ name: string }>(
    `with tables as (
       select c.oid, c.relname as name from pg_attribute a join pg_class c on c.oid = a.attrelid
        where (a.attname = 'user_id' or c.relname = 'users') and a.attname in ('user_id', 'id')
          and c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition)
     select distinct t.name || '.' || a.attname as name from tables t join pg_attribute a on a.attrelid = t.oid
      where a.attnum > 0 and not a.attisdropped and t.name <> all ($1) and a.attname <> 'user_id'
        and not exists (select from information_schema.view_column_usage u
                         where u.table_name = t.name and u.column_name = a.attname and u.view_name like 'export-%')`,
    [NOT_EXPORTED],
  );
  await superuser.query("rollback");
  const missing = rows.map(({ name }) => name).toSorted((a, b) => a.localeCompare(b));
  expect(missing).toEqual(COLUMNS_NOT_EXPORTED);
});

test("an erasure: bots, then accounts, then rows; nobody finds the user again, and trades stay", async () => {
  const user = await signUp(api, "leaving");
  const staying = await signUp(api, "staying");
  const { bot, account } = await belongings(user);
  await belongings(staying);
  await api.database.superuser.query(
    `insert into equity (user_id, bot_id, epoch, sequence, equity, available, currency, at)
     select '${user.id}', '${bot}', 2, n, 1000, 900, 'USDT', now() - n * interval '1 minute'
       from generate_series(1, 60000) n;
     insert into orders (user_id, bot_id, epoch, sequence, client_order_id, symbol, purpose, side, quantity, status, at)
     select '${user.id}', '${bot}', 2 + n % 3, n, gen_random_uuid(), 'X', 'entry', 'buy', 1, 'filled', now()
       from generate_series(1, 60000) n`, // more than one statement removes, or moves
  );
  const before = await rowsOf(staying.id);
  const id = await begin(user, "erasure");
  await turn();
  expect(await jobOf(user, id)).toMatchObject({
    status: "running",
    detail: "1 bots are closing their positions",
  });
  expect(await stateOf("bot", bot)).toBe(BotState.enum.Retired);
  expect(await stateOf("account", account)).toBe("Active"); // the bot may need its key
  await turn(); // nothing hurries a bot that holds a position
  expect(await stateOf("account", account)).toBe("Active");
  await operatorRemoves("bot", bot);
  await turn();
  expect(await stateOf("account", account)).toBe("Retired");
  expect((await jobOf(user, id)).detail).toBe("1 exchange accounts are being removed");
  await operatorRemoves("account", account);
  await turn();
  expect(await jobOf(user, id)).toMatchObject({ status: "running" });

  const { superuser } = api.database;
  const kept = `select count(*)::int as count, count(distinct bot_id)::int as bots from trades
     where user_id = (select user_id from fills where execution_id = 'x-' || $1)`;
  await turn();
  await vi.waitUntil(async () => (await user.call("GET /api/me")).status === 401);
  expect((await superuser.query(kept, [bot])).rows).toEqual([{ count: 2_500, bots: 1 }]);
  expect((await superuser.query(kept.replace("trades", "orders"), [bot])).rows).toEqual([
    { count: 60_001, bots: 1 },
  ]);
  for (const { table } of KEPT) {
    expect(await rowsOf(user.id)).not.toHaveProperty(table);
    const named = await superuser.query(`select from ${table} where bot_id = $1`, [bot]);
    expect(named.rowCount).toBe(0); // the audit names it, beside the user's id
  }
  const login = { email: "leaving@example.com", password: "correct horse battery" };
  const refused = await caller(api)("POST /api/auth/login", { body: login });
  expect(refused).toMatchObject({ status: 403, body: { code: "user_disabled" } });

  await turn(); // tokens may still live
  expect(await rowsOf(user.id)).toHaveProperty("users");
  await superuser.query(
    "update personal_data_jobs set stepped_at = stepped_at - interval '21 minutes' where id = $1",
    [id],
  );
  await turn();
  const left = Object.keys(await rowsOf(user.id));
  expect(left.toSorted((a, b) => a.localeCompare(b))).toEqual(STAYING);
  const { rows } = await superuser.query(
    "select status, step from personal_data_jobs where id = $1",
    [id],
  );
  expect(rows).toEqual([{ status: "done", step: "forget" }]);
  const audit = await superuser.query<{ text: string }>(
    "select coalesce(string_agg(audit::text, ' '), '') as text from audit",
  );
  expect(audit.rows[0]?.text).not.toContain("leaving@");
  expect((await caller(api)("POST /api/auth/login", { body: login })).status).toBe(401);
  expect(await rowsOf(staying.id)).toEqual(before);
});

test("an erasure waits while its user has a role, and touches nothing", async () => {
  const user = await signUp(api, "promoted");
  const bot = WithId.parse((await user.call("POST /api/bots", { body: BOT })).body).id;
  const id = await begin(user, "erasure");
  const setRole = (role: string | null) =>
    api.database.superuser.query("update users set role = $2 where id = $1", [user.id, role]);
  await setRole("admin");
  for (const step of ["begin", "erase", "forget"]) {
    await api.database.superuser.query(
      "update personal_data_jobs set step = $2, stepped_at = now() - interval '1 hour' where id = $1",
      [id, step],
    );
    await turn();
    expect((await jobOf(user, id)).detail).toBe("it waits until your role has been taken away");
  }
  expect(await stateOf("bot", bot)).toBe(BotState.enum.Running);
  await setRole(null);
  await api.database.superuser.query("update personal_data_jobs set step = 'begin' where id = $1", [
    id,
  ]);
  await turn();
  expect(await stateOf("bot", bot)).toBe(BotState.enum.Retired);
});

test("an erasure lets nobody in first, then goes bot by bot, whose rows get one pseudonym", async () => {
  const user = await signUp(api, "busy");
  const { superuser } = api.database;
  const [first, second] = ["bot-aaaaaaaaaaaaaaaaaaaa", "bot-bbbbbbbbbbbbbbbbbbbb"];
  await superuser.query(
    `insert into bots (user_id, id, namespace, made_at, gone_at)
     select '${user.id}', id, 'tradingbots-00', now(), now() from unnest(array['${first}', '${second}']) id;
     insert into trades (user_id, bot_id, id, epoch, sequence, symbol, side, quantity, entry_price, fees, opened_at)
     select '${user.id}', id, gen_random_uuid(), 1, 1, id, 'long', 1, 1, 0, now() from unnest(array['${first}', '${second}']) id;
     insert into orders (user_id, bot_id, epoch, sequence, client_order_id, symbol, purpose, side, quantity, status, at)
     select '${user.id}', id, 1, 1, gen_random_uuid(), id, 'entry', 'buy', 1, 'filled', now() from unnest(array['${first}', '${second}']) id`,
  );
  await begin(user, "erasure");
  await turn();
  await superuser.query("begin");
  await superuser.query("select from trades where bot_id = $1 for update", [second]);
  const erasing = turn();
  await vi.waitUntil(async () => (await user.call("GET /api/me")).status === 401);
  const ownersOf = async (bot: string) => {
    const { rows } = await superuser.query<{ owner: string; rows: number }>(
      `select user_id as owner, count(*)::int as rows
         from (select user_id from trades where symbol = $1 union all select user_id from orders where symbol = $1) kept
        group by 1`,
      [bot],
    );
    return rows;
  };
  await vi.waitUntil(async () => (await ownersOf(first))[0]?.owner !== user.id, 5_000);
  expect(await ownersOf(second)).toEqual([{ owner: user.id, rows: 2 }]);
  await superuser.query("rollback");
  await erasing;
  const [pseudonym] = await ownersOf(second);
  expect(await ownersOf(first)).toEqual([{ owner: pseudonym?.owner, rows: 2 }]);
  expect(pseudonym?.owner).not.toBe(user.id);
});

test("what a pod that was cut off appends after its bot's rows have gone is not left under its owner", async () => {
  const user = await signUp(api, "outlived");
  const { superuser } = api.database;
  const bot = "bot-cccccccccccccccccccc";
  await superuser.query(
    `insert into bots (user_id, id, namespace, made_at, gone_at) values ('${user.id}', '${bot}', 'tradingbots-00', now(), now())`,
  );
  const id = await begin(user, "erasure");
  await turn();
  await turn();
  await superuser.query(
    `insert into orders (user_id, bot_id, epoch, sequence, client_order_id, symbol, purpose, side, quantity, status, at)
     values ('${user.id}', '${bot}', 1, 1, gen_random_uuid(), '${bot}', 'entry', 'buy', 1, 'filled', now());
     insert into equity (user_id, bot_id, epoch, sequence, equity, available, currency, at)
     values ('${user.id}', '${bot}', 1, 3, 1000, 900, 'USDT', now());
     update personal_data_jobs set stepped_at = stepped_at - interval '21 minutes' where id = '${id}' and step = 'forget'`,
  );
  await turn();
  const left = await rowsOf(user.id);
  expect(left).not.toHaveProperty("users");
  expect(left).not.toHaveProperty("orders");
  expect(left).not.toHaveProperty("equity");
  const kept = await superuser.query("select from orders where symbol = $1 and bot_id <> $1", [
    bot,
  ]);
  expect(kept.rowCount).toBe(1);
});

test("the key of an account that was never finished goes before the account's row", async () => {
  const user = await signUp(api, "hasty");
  api.connection.fault = "request lost";
  await user.call("POST /api/accounts", { body: ACCOUNT });
  api.connection.fault = "none";
  const id = await begin(user, "erasure");
  await turn();
  const waiting = "1 exchange accounts are being removed";
  expect((await jobOf(user, id)).detail).toBe(waiting);
  const { rows } = await api.database.superuser.query<{ id: string }>(
    "update accounts set created_at = now() - interval '11 minutes' where user_id = $1 returning id",
    [user.id],
  );
  const account = rows[0]?.id ?? "";
  await turn();
  expect((await jobOf(user, id)).detail).toBe(waiting); // only the sweep of half-made accounts may end it
  await sweepHalfMade(deps);
  expect(await stateOf("account", account)).toBe("Retired");
  await turn();
  await operatorRemoves("account", account);
  await turn();
  expect((await jobOf(user, id)).detail).toBe("");
});

test("an export that is asked for when the rows go is not written: its files would outlive them", async () => {
  const user = await signUp(api, "hesitant");
  await begin(user, "erasure");
  await turn();
  const id = await begin(user, "export");
  await turn(); // the rows go, and then it is the export's turn
  const { rows } = await api.database.superuser.query<{ status: string; parts: number }>(
    `select status, (select count(*)::int from personal_data_parts where user_id = $1) as parts
       from personal_data_jobs where user_id = $1 and id = $2`,
    [user.id, id],
  );
  expect(rows).toEqual([{ status: "failed", parts: 0 }]);
});

test("whom an administrator lets in during an erasure is shut out again", async () => {
  const user = await signUp(api, "let-in");
  const { superuser } = api.database;
  const id = await begin(user, "erasure");
  await turn();
  await turn();
  await superuser.query("update users set disabled_at = null where id = $1", [user.id]);
  const back = await api.app.inject({
    method: "POST",
    url: "/api/auth/login",
    payload: { email: user.email, password: "correct horse battery" },
  });
  expect(back.statusCode).toBe(200);
  await superuser.query(
    "update personal_data_jobs set stepped_at = now() - interval '21 minutes' where id = $1",
    [id],
  );
  await turn();
  await turn();
  const { rows } = await superuser.query(
    `select disabled_at is not null as out, (select count(*)::int from sessions where user_id = $1 and ended_at is null) as living
       from users where id = $1`,
    [user.id],
  );
  expect(rows).toEqual([{ out: true, living: 0 }]);
});

test("what is made while an erasure runs is retired too", async () => {
  const user = await signUp(api, "undecided");
  const id = await begin(user, "erasure");
  await turn();
  const bot = WithId.parse((await user.call("POST /api/bots", { body: BOT })).body).id;
  await turn();
  expect((await jobOf(user, id)).detail).toMatch(/begins anew/);
  await turn();
  expect(await stateOf("bot", bot)).toBe("Retired");
});
