import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { chainEntries } from "../src/audit/chainer.ts";
import { createAuditQueue } from "../src/audit/queue.ts";
import { type AuditEntry, recordAll, recordAudit } from "../src/audit/record.ts";
import { type Verdict, verifyChain } from "../src/audit/verify.ts";
import { asTenant, createPool } from "../src/database.ts";
import { caller, signUp, startApi, type TestApi, type TestUser } from "./api.ts";

const BOT = {
  displayName: "Robot",
  exchange: "bybit",
  mode: "paper",
  symbols: ["BTC/USDT:USDT"],
  strategy: { name: "rsi", params: {} },
};
const NOBODY: AuditEntry = { actorKind: "system", action: "test", outcome: "done" };

let api: TestApi;
let alice: TestUser;
let workerPool: ReturnType<typeof createPool>;
beforeAll(async () => {
  api = await startApi();
  alice = await signUp(api, "alice");
  workerPool = createPool({ url: api.database.workerUrl, connectionsMax: 8 });
});
afterAll(async () => {
  await workerPool.end();
  await api.stop();
});

const ENTRIES =
  "select actor_id, action, object, outcome, code, host(network) as network, details from audit";

async function entries(where: string): Promise<readonly Record<string, unknown>[]> {
  await api.audit.flush();
  const { rows } = await api.database.superuser.query<Record<string, unknown>>(
    `${ENTRIES} where ${where} order by at, id`,
  );
  return rows;
}

async function chainAll(): Promise<void> {
  while ((await chainEntries(workerPool)) > 0);
}

async function run(...args: string[]) {
  const main = join(import.meta.dirname, "..", "src", "audit", "main.ts");
  const env = { ADMIN_DATABASE_URL: api.database.adminUrl };
  return promisify(execFile)(process.execPath, [main, ...args], {
    env,
    maxBuffer: 64 * 1024 * 1024,
  }).then(
    ({ stdout }) => ({ code: 0, output: stdout }),
    (error: unknown) => {
      const failed = z.object({ code: z.number(), stderr: z.string() }).parse(error);
      return { code: failed.code, output: failed.stderr };
    },
  );
}

test("a change is told of before it is tried, and how it ended; a refused one too", async () => {
  const { body } = await alice.call("POST /api/bots", { body: BOT });
  const { id } = z.object({ id: z.string() }).parse(body);
  await alice.call("GET /api/bots");
  await alice.call(`DELETE /api/bots/${id}`);
  await alice.call("DELETE /api/bots/bot-of-another");
  const told = await entries(`actor_id = '${alice.id}' and action like '%/api/bots%'`);
  expect(told.map(({ action, object, outcome, code }) => [action, object, outcome, code])).toEqual(
    [
      ["POST /api/bots", "/api/bots", "attempted", null],
      ["POST /api/bots", "/api/bots", "done", null],
      ["DELETE /api/bots/:id", `/api/bots/${id}`, "attempted", null],
      ["DELETE /api/bots/:id", `/api/bots/${id}`, "done", null],
      ["DELETE /api/bots/:id", "/api/bots/:id", "attempted", null],
      ["DELETE /api/bots/:id", "/api/bots/:id", "denied", "not_found"],
    ].toSorted(byOrderOf(told)),
  );
  expect(told[0]).toMatchObject({ network: "127.0.0.0" });
});

test("nothing that a caller invents is kept, neither in place of an id nor as a path", async () => {
  const { id, call } = await signUp(api, "inventive");
  const invented = "4217-my-card-number";
  for (const path of [
    `passkeys/${invented}`,
    `bots/${invented}/requests/${invented}`,
    `personal-data/${id}/files/${invented}`,
    `nothing/${invented}`,
  ]) {
    await call(`GET /api/${path}?${invented}`);
    await call(`DELETE /api/${path}`);
  }
  expect(JSON.stringify(await entries("true"))).not.toContain(invented);
  const told = await entries(`actor_id = '${id}' and outcome = 'denied'`);
  const objects = told.map(({ object }) => String(object));
  expect(objects.toSorted((one, two) => one.localeCompare(two))).toEqual([
    "/api/bots/:id/requests/:requestId",
    "/api/passkeys/:id",
    `/api/personal-data/${id}/files/:file`,
  ]);
});

/** Attempts are written at once and ends a moment later: the test cares about both, not about their order. */
function byOrderOf(told: readonly Record<string, unknown>[]) {
  const keys = told.map(({ object, outcome }) => `${String(object)} ${String(outcome)}`);
  const place = ([, object, outcome]: readonly unknown[]) =>
    keys.indexOf(`${String(object)} ${String(outcome)}`);
  return (a: readonly unknown[], b: readonly unknown[]) => place(a) - place(b);
}

test("nothing is changed when the audit cannot be written", async () => {
  const { superuser } = api.database;
  await superuser.query("alter table audit add constraint closed check (false) not valid");
  const before = (await alice.call("GET /api/bots")).body;
  expect((await alice.call("POST /api/bots", { body: BOT })).status).toBe(500);
  await superuser.query("alter table audit drop constraint closed");
  expect((await alice.call("GET /api/bots")).body).toEqual(before);
});

test("an entry lives and dies with the transaction that it is in", async () => {
  const failing = asTenant(api.pool, { userId: alice.id }, async (database) => {
    await recordAudit(database, { ...NOBODY, action: "rolled back" });
    throw new Error("no");
  });
  await expect(failing).rejects.toThrow("no");
  expect(await entries("action = 'rolled back'")).toEqual([]);
});

test("strangers who are refused are counted by network and minute, users beyond the first", async () => {
  let now = 0;
  const queue = createAuditQueue({ database: api.pool, now: () => now });
  const refused = { ...NOBODY, action: "GET /x", outcome: "denied", code: "test_code" } as const;
  for (let host = 0; host < 100; host++) {
    queue.refuse({ ...refused, actorKind: "stranger", address: `192.0.2.${host}` });
  }
  for (let network = 0; network < 2_000; network++) {
    const address = `10.${network >> 8}.${network & 255}.1`;
    queue.refuse({ ...refused, actorKind: "stranger", code: "many_networks", address });
  }
  for (let time = 0; time < 50; time++) {
    queue.refuse({ ...refused, actorKind: "user", actorId: alice.id, code: "by_user" });
  }
  await queue.flush();
  expect(await entries("code in ('test_code', 'many_networks')")).toEqual([]);
  now = 60_000;
  await queue.flush();
  const counted = await entries("code = 'test_code'");
  const minute = "1970-01-01T00:00:00.000Z";
  expect(counted).toEqual([
    expect.objectContaining({ network: "192.0.2.0", details: { count: 100, minute } }),
  ]);
  const [summed] = await api.database.superuser
    .query<{ rows: number; refusals: number }>(
      `select count(*)::int as rows, sum((details->>'count')::int)::int as refusals
         from audit where code = 'many_networks'`,
    )
    .then(({ rows }) => rows);
  expect(summed).toEqual({ rows: 1_000, refusals: 2_000 });
  const ofUser = await entries("code = 'by_user'");
  expect(ofUser).toHaveLength(21);
  expect(ofUser.at(-1)).toMatchObject({ action: "refused", details: { count: 30, minute } });
});

test("a refused stranger is seen through the API", async () => {
  await caller(api)("GET /api/bots");
  await caller(api, "spoilt")("GET /api/me");
  const guess = { email: alice.email, password: "not the password" };
  for (let guesses = 0; guesses < 3; guesses++) {
    await caller(api)("POST /api/auth/login", { body: guess });
  }
  await api.audit.end();
  expect(await entries("actor_kind = 'stranger' and code = 'unauthenticated'")).toMatchObject([
    { outcome: "denied", details: { count: 2 } },
  ]);
  const guessed = `actor_kind = 'stranger' and code = 'invalid_credentials' and user_id = '${alice.id}'`;
  expect(await entries(guessed)).toMatchObject([{ outcome: "denied", details: { count: 3 } }]);
});

test("a token that may not do it is told of by name", async () => {
  const made = await alice.call("POST /api/tokens", { body: { name: "Script", scopes: ["read"] } });
  const { id, token } = z.object({ id: z.string(), token: z.string() }).parse(made.body);
  await caller(api, token)("POST /api/bots", { body: BOT });
  await caller(api, token)("GET /api/tokens");
  const told = await entries(
    `actor_kind = 'token' and actor_id = '${id}' and user_id = '${alice.id}'`,
  );
  // Both of one millisecond may come in either order.
  expect(told.toSorted((a, b) => String(a["code"]).localeCompare(String(b["code"])))).toMatchObject(
    [
      { action: "POST /api/bots", outcome: "denied", code: "scope_missing" },
      { action: "GET /api/tokens", outcome: "denied", code: "token_refused" },
    ],
  );
});

test("what waits while the database is away is written later, and what was too much is counted", async () => {
  let isAway = true;
  const queue = createAuditQueue({
    database: {
      query: (text, values) => {
        if (isAway) throw new Error("away");
        return api.pool.query(text, values);
      },
    },
    now: () => 0,
  });
  for (let each = 0; each < 5_100; each++) queue.push({ ...NOBODY, action: "waited" });
  await expect(queue.flush()).rejects.toThrow("away");
  isAway = false;
  await queue.end();
  expect(await entries("action = 'waited'")).toHaveLength(5_000);
  expect(await entries("action = 'audit.lost'")).toMatchObject([{ details: { count: 100 } }]);
});

test("chainers at once make one chain without gaps, while entries are written", async () => {
  const writing = Array.from({ length: 20 }, () =>
    recordAll(
      api.pool,
      Array.from({ length: 50 }, () => NOBODY),
    ),
  );
  const chaining = Array.from({ length: 8 }, () => chainEntries(workerPool));
  await Promise.all([...writing, ...chaining]);
  await chainAll();
  const { rows } = await api.database.superuser.query(
    `select min(sequence)::int as first, max(sequence)::int = count(*) as gapless,
            count(*) = (select count(*) from audit) as complete,
            (select count(*)::int from audit_unchained) as waiting from audit_chain`,
  );
  expect(rows).toEqual([{ first: 1, gapless: true, complete: true, waiting: 0 }]);
  expect((await run("verify")).output).toMatch(/^whole: \d+:/);
});

test.each(["api", "auth", "admin", "worker"] as const)(
  "the role %s changes and removes nothing of the audit",
  async (role) => {
    const pool = createPool({ url: api.database[`${role}Url`], connectionsMax: 1 });
    for (const table of ["audit", "audit_chain"]) {
      for (const sql of [`delete from ${table}`, `truncate ${table}`]) {
        await expect(pool.query(sql)).rejects.toThrow(/permission denied/);
      }
    }
    await expect(pool.query("update audit set code = ''")).rejects.toThrow(/permission denied/);
    await expect(pool.query("update audit_chain set hash = ''")).rejects.toThrow(
      /permission denied/,
    );
    await pool.end();
  },
);

const APPENDED = "insert into audit (actor_kind, action, outcome";

/** What would stop the chainer at the same place for ever. */
const OBSTACLES: readonly [name: string, sql: string][] = [
  ["an entry of no time", `${APPENDED}, at) values ('system', 'x', 'done', 'infinity')`],
  [
    "an entry with an id of their own",
    `${APPENDED}, id) values ('system', 'x', 'done', gen_random_uuid())`,
  ],
  [
    "an id that has its place",
    `insert into audit_unchained values ('00000000-0000-4000-8000-000000000000')`,
  ],
  [
    "such an id by a trigger of their own",
    `create temporary table mine (id uuid) on commit drop;
     create trigger mine after insert on mine referencing new table as added
       for each statement execute function audit_await_chain();
     insert into mine values ('00000000-0000-4000-8000-000000000000')`,
  ],
];

test.each(
  (["api", "auth", "admin", "worker"] as const).flatMap((role) =>
    OBSTACLES.map(([name, sql]) => [role, name, sql] as const),
  ),
)("the role %s cannot append %s", async (role, _, sql) => {
  const pool = createPool({ url: api.database[`${role}Url`], connectionsMax: 1 });
  await expect(pool.query(sql)).rejects.toThrow(/permission denied/);
  await recordAudit(pool, NOBODY);
  await pool.end();
  await chainAll();
  const { rows } = await api.database.superuser.query("select entry_id from audit_unchained");
  expect(rows).toEqual([]);
});

test("even who may do everything is held by the triggers", async () => {
  for (const sql of [
    "update audit set code = ''",
    "delete from audit where id = gen_random_uuid()",
    "truncate audit",
    "delete from audit_chain",
  ]) {
    await expect(api.database.superuser.query(sql)).rejects.toThrow(/stays as it is/);
  }
});

/** What somebody does who owns the database; taken back afterwards. */
const FORGERIES: readonly [name: string, sql: string, told: RegExp][] = [
  [
    "an entry was changed",
    "update audit set code = 'x' where id = ENTRY",
    /broken at 5: entry .* is not what/,
  ],
  ["an entry was removed", "delete from audit where id = ENTRY", /broken at 5: entry .* is gone/],
  [
    "a link was removed",
    "delete from audit_chain where sequence = 5",
    /broken at 5: the chain goes on with 6/,
  ],
  [
    "a link was changed",
    "update audit_chain set hash = sha256('x') where sequence = 5",
    /broken at 5: entry/,
  ],
  [
    "the end was cut off",
    "delete from audit_chain where sequence >= 6",
    /broken at 6: the chain ends before/,
  ],
  [
    "an old entry was kept out",
    "insert into audit (actor_kind, action, outcome, at) values ('system', 'x', 'done', '2020-01-01'); delete from audit_unchained",
    /^1 unchained$/,
  ],
];

test.each(FORGERIES)("verify finds that %s", async (_, sql, told) => {
  const { superuser } = api.database;
  await chainAll();
  const { head } = await verifyChain(superuser);
  const expected = { sequence: head.sequence, hash: head.hash.toString("hex") };
  await superuser.query(
    `begin; set local session_replication_role = replica;
     ${sql.replace("ENTRY", "(select entry_id from audit_chain where sequence = 5)")}`,
  );
  const verdict = await verifyChain(superuser, expected);
  await superuser.query("rollback");
  expect(verdictText(verdict)).toMatch(told);
  expect(await verifyChain(superuser, expected)).toEqual({ head, unchained: 0 });
});

function verdictText({ broken, unchained }: Verdict): string {
  return broken === undefined
    ? `${unchained} unchained`
    : `broken at ${broken.sequence}: ${broken.reason}`;
}

test("the command ends with 1 and says where", async () => {
  await chainAll();
  expect(await run("verify", "--expect", `3:${"0".repeat(64)}`)).toEqual({
    code: 1,
    output: "broken at 3: the hash is not the expected one: the chain was written anew\n",
  });
});

test("the export holds every chained entry in order, with the hashes that verify knows", async () => {
  await chainAll();
  const { output } = await run("export", "--after", "2");
  const lines = output
    .trim()
    .split("\n")
    .map((line) => z.looseObject({ sequence: z.int(), hash: z.string() }).parse(JSON.parse(line)));
  expect(lines.map(({ sequence }) => sequence)).toEqual(lines.map((_, index) => index + 3));
  const last = lines.at(-1);
  expect((await run("verify")).output).toBe(`whole: ${last?.sequence}:${last?.hash}\n`);
  expect(output).not.toContain("example.com");
});
