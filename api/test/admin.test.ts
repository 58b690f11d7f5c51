import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { Client } from "pg";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { z } from "zod";
import { approveLift } from "../src/admin/halts.ts";
import { createPool } from "../src/database.ts";
import { createKube } from "../src/kube.ts";
import { caller, signUp, startApi, type TestApi, type TestUser } from "./api.ts";
import {
  currentCode,
  enrolTotp,
  forgetStep,
  PASSWORD,
  showSecondFactor,
  signUpAdministrator,
} from "./second-factor.ts";

let api: TestApi;
let people: Readonly<Record<"viewer" | "operator" | "second" | "admin", TestUser>>;

const WithId = z.object({ id: z.string() });
const Items = z.object({ items: z.array(WithId), next: z.string().nullable() });

async function roleCommand(...args: string[]): Promise<string> {
  const main = join(import.meta.dirname, "..", "src", "admin", "main.ts");
  const env = { MIGRATE_DATABASE_URL: api.database.ownerUrl };
  const { stdout } = await promisify(execFile)(process.execPath, [main, ...args], { env });
  return stdout;
}

beforeAll(async () => {
  api = await startApi();
  people = {
    viewer: await signUpAdministrator(api, "viewer", "viewer"),
    operator: await signUpAdministrator(api, "operator", "operator"),
    second: await signUpAdministrator(api, "second", "operator"),
    admin: await signUp(api, "admin"),
  };
});
afterAll(() => api.stop());

async function audited(where: string): Promise<readonly Record<string, unknown>[]> {
  await api.audit.flush();
  const { rows } = await api.database.superuser.query<Record<string, unknown>>(
    `select actor_kind, actor_id, user_id, action, object, outcome, code, details
       from audit where ${where} order by at, id`,
  );
  return rows;
}

test("the command gives the first admin the role, and takes it away at once", async () => {
  const { admin } = people;
  await showSecondFactor(api, admin);
  expect((await admin.call("GET /api/admin/users")).status).toBe(404);
  expect(await roleCommand("grant", "--email", admin.email)).toBe(
    "admin@example.com is admin now\n",
  );
  expect((await admin.call("GET /api/admin/users")).status).toBe(200);
  await api.database.superuser.query("update users set role = 'admin' where id = $1", [
    people.viewer.id,
  ]);
  await roleCommand("revoke", "--email", admin.email);
  expect((await admin.call("GET /api/admin/users")).status).toBe(404);
  await roleCommand("grant", "--email", admin.email, "--role", "admin");
  await roleCommand("grant", "--email", people.viewer.email, "--role", "viewer");
  await expect(roleCommand("grant", "--email", "nobody@example.com")).rejects.toThrow(
    /nobody is registered/,
  );
  expect(await audited(`action = 'role.change' and user_id = '${admin.id}'`)).toMatchObject([
    { user_id: admin.id, details: { role: "admin" } },
    { user_id: admin.id, details: { role: null } },
    { user_id: admin.id, details: { role: "admin" } },
  ]);
});

test.each(["revoke", "grant --role viewer"])(
  "the last admin stays one beside a disabled one, whatever %s is asked for, and a sentence says so",
  async (command) => {
    await api.database.superuser.query(
      "update users set role = 'admin', disabled_at = now() where id = $1",
      [(await signUp(api, `disabled-${command.length}`)).id],
    );
    const [verb = "", ...options] = command.split(" ");
    const { email } = people.admin;
    await expect(roleCommand(verb, "--email", email, ...options)).rejects.toMatchObject({
      code: 1,
      stdout: "",
      stderr: `${email} is the last admin who is not disabled: make another first\n`,
    });
    expect((await people.admin.call("GET /api/admin/users")).status).toBe(200);
  },
);

test("the last admin cannot have themselves forgotten", async () => {
  const { status, body } = await people.admin.call("POST /api/personal-data/erasure");
  expect({ status, body }).toMatchObject({ status: 409, body: { code: "role_held" } });
});

test("whoever has asked to be forgotten gets no role", async () => {
  const leaving = await signUp(api, "leaving");
  expect((await leaving.call("POST /api/personal-data/erasure")).status).toBe(202);
  await expect(roleCommand("grant", "--email", leaving.email)).rejects.toThrow(
    /has asked to be erased/,
  );
  const { body } = await people.admin.call(`GET /api/admin/users/${leaving.id}`);
  expect(body).toMatchObject({ role: null });
});

test("the command lets an admin in again whom somebody has disabled", async () => {
  const locked = await signUpAdministrator(api, "locked", "admin");
  expect((await people.admin.call(`POST /api/admin/users/${locked.id}/disable`)).status).toBe(200);
  await roleCommand("grant", "--email", locked.email, "--role", "viewer");
  const { body } = await people.admin.call(`GET /api/admin/users/${locked.id}`);
  expect(body).toMatchObject({ role: "viewer", disabledAt: null });
});

test("an administrator without a second factor is shown nothing, and enrolling alone is not showing", async () => {
  const newcomer = await signUp(api, "newcomer");
  await roleCommand("grant", "--email", newcomer.email, "--role", "viewer");
  const ask = async () => {
    const { status, body } = await newcomer.call("GET /api/admin/users");
    return status === 200 ? "let in" : z.object({ code: z.string() }).parse(body).code;
  };
  expect(await ask()).toBe("second_factor_required");
  await enrolTotp(api, newcomer);
  expect(await ask()).toBe("second_factor_required");
  const proof = { password: PASSWORD, code: await currentCode(api, newcomer) };
  expect((await newcomer.call("POST /api/auth/step-up", { body: proof })).status).toBe(200);
  expect(await ask()).toBe("let in");
  await newcomer.call("DELETE /api/auth/mfa/totp");
  expect(await ask()).toBe("second_factor_required");
});

test("a call that is not valid is audited, and shows nobody else that there is something", async () => {
  const stranger = await signUp(api, "curious");
  const path = "/api/admin/users?limit=x" as const;
  expect((await stranger.call(`GET ${path}`)).status).toBe(404);
  expect((await people.viewer.call(`GET ${path}`)).status).toBe(422);
  expect(
    await audited(`actor_id = '${people.viewer.id}' and code = 'validation_failed'`),
  ).toMatchObject([{ actor_kind: "admin", action: "GET /api/admin/users", outcome: "failed" }]);
});

test("of two admins who disable each other at once one is left", async () => {
  const [one, two] = [
    await signUpAdministrator(api, "one", "admin"),
    await signUpAdministrator(api, "two", "admin"),
  ];
  const { superuser } = api.database;
  // Both are let in before either has done anything.
  await superuser.query("begin");
  await superuser.query("select from users where id in ($1, $2) for update", [one.id, two.id]);
  const both = Promise.all([
    one.call(`POST /api/admin/users/${two.id}/disable`),
    two.call(`POST /api/admin/users/${one.id}/disable`),
  ]);
  await vi.waitUntil(async () => {
    const { rowCount } = await superuser.query("select from pg_locks where not granted");
    return rowCount === 2;
  });
  await superuser.query("commit");
  const statuses = (await both).map(({ status }) => status);
  expect(statuses.toSorted((a, b) => a - b)).toEqual([200, 403]);
  const { rows } = await superuser.query(
    "select id from users where id in ($1, $2) and disabled_at is null",
    [one.id, two.id],
  );
  expect(rows).toHaveLength(1);
});

test("no role of the service gives anybody a role", async () => {
  for (const role of ["api", "auth", "admin", "worker"] as const) {
    const client = new Client(api.database[`${role}Url`]);
    await client.connect();
    const taken = client.query("update users set role = 'admin'");
    await expect(taken).rejects.toThrow(/permission denied/);
    await client.end();
  }
});

test("users are searched page by page", async () => {
  const { viewer } = people;
  const all: string[] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const query = cursor === "" ? "" : `&cursor=${cursor}`;
    const { body } = await viewer.call(`GET /api/admin/users?limit=2${query}`);
    const page: z.infer<typeof Items> = Items.parse(body);
    all.push(...page.items.map(({ id }) => id));
    cursor = page.next;
  }
  const { rows } = await api.database.superuser.query<{ id: string }>("select id from users");
  const known = rows.map(({ id }) => id);
  expect(known).toEqual(expect.arrayContaining(Object.values(people).map(({ id }) => id)));
  expect(all).toEqual(known.toSorted((a, b) => a.localeCompare(b)));
  const found = await viewer.call("GET /api/admin/users?email=SECOND@&tier=free&disabled=false");
  expect(found.body).toMatchObject({
    items: [{ id: people.second.id, email: "second@example.com", role: "operator", bots: 0 }],
    next: null,
  });
  expect((await viewer.call("GET /api/admin/users?tier=pro")).body).toMatchObject({ items: [] });
});

test("a tier that an admin changes counts within a second, and the audit knows what it was", async () => {
  const user = await signUp(api, "customer");
  const subscriptionExpiresAt = "2030-01-01T00:00:00.000Z";
  const { body } = await people.admin.call(`PATCH /api/admin/users/${user.id}`, {
    body: { tier: "pro", subscriptionExpiresAt },
  });
  expect(body).toMatchObject({ tier: "pro", subscriptionExpiresAt });
  await vi.waitUntil(async () => {
    const { headers } = await user.call("GET /api/me");
    return String(headers["ratelimit-policy"]).startsWith('"pro"');
  });
  expect(await audited(`action = 'subscription.change' and user_id = '${user.id}'`)).toMatchObject([
    {
      actor_kind: "admin",
      actor_id: people.admin.id,
      details: { tierBefore: "free", tier: "pro", expiresAt: subscriptionExpiresAt },
    },
  ]);
  const never = await people.admin.call(`PATCH /api/admin/users/${user.id}`, {
    body: { subscriptionExpiresAt: null },
  });
  expect(never.body).toMatchObject({ tier: "pro", subscriptionExpiresAt: null });
});

test("a disabled user is out within a second and back only when enabled", async () => {
  const user = await signUp(api, "suspect");
  const path = `/api/admin/users/${user.id}`;
  expect((await people.operator.call(`POST ${path}/disable`)).body).not.toMatchObject({
    disabledAt: null,
  });
  await vi.waitUntil(async () => (await user.call("GET /api/me")).status === 401);
  expect((await people.operator.call(`POST ${path}/enable`)).body).toMatchObject({
    disabledAt: null,
  });
});

test("whoever is being erased is not let in again", async () => {
  const user = await signUp(api, "half-erased");
  await api.database.superuser.query(
    "insert into personal_data_jobs (user_id, kind) values ($1, 'erasure')",
    [user.id],
  );
  const path = `/api/admin/users/${user.id}`;
  expect((await people.operator.call(`POST ${path}/disable`)).status).toBe(200);
  expect(await people.operator.call(`POST ${path}/enable`)).toMatchObject({
    status: 409,
    body: { code: "erasure_under_way" },
  });
});

test("a user whom an operator logs out is out within a second, and may come back", async () => {
  const user = await signUp(api, "forgetful");
  const path = `/api/admin/users/${user.id}/log-out` as const;
  expect((await people.operator.call(`POST ${path}`)).status).toBe(200);
  await vi.waitUntil(async () => (await user.call("GET /api/me")).status === 401);
  const body = { email: user.email, password: PASSWORD };
  expect((await caller(api)("POST /api/auth/login", { body })).status).toBe(200);
});

test("operators disable no one with a role, and nobody themselves", async () => {
  const { operator, second, admin } = people;
  for (const [who, whom] of [
    [operator, second],
    [operator, operator],
    [admin, admin],
  ] as const) {
    const { status, body } = await who.call(`POST /api/admin/users/${whom.id}/disable`);
    expect({ status, body }).toMatchObject({ status: 403, body: { code: "role_missing" } });
  }
  expect((await admin.call(`POST /api/admin/users/${second.id}/disable`)).status).toBe(200);
  // A disabled administrator has no say, whatever token they hold.
  expect((await second.call("GET /api/admin/users")).status).toBeGreaterThanOrEqual(401);
  await admin.call(`POST /api/admin/users/${second.id}/enable`);
  const again = await signIn(second);
  people = { ...people, second: { ...second, ...again } };
});

async function signIn(user: TestUser): Promise<Pick<TestUser, "accessToken" | "call">> {
  const code = await currentCode(api, user);
  const { body } = await caller(api)("POST /api/auth/login", {
    body: { email: user.email, password: PASSWORD, code },
  });
  await forgetStep(api, user);
  const { accessToken } = z.object({ accessToken: z.string() }).parse(body);
  return { accessToken, call: caller(api, accessToken) };
}

test("a user's bots are seen as the user sees them", async () => {
  const user = await signUp(api, "owner");
  const bot = {
    displayName: "Robot",
    exchange: "bybit",
    mode: "paper",
    symbols: ["BTC/USDT:USDT"],
    strategy: { name: "rsi", params: {} },
  };
  const created = (await user.call("POST /api/bots", { body: bot })).body;
  const seen = await people.viewer.call(`GET /api/admin/users/${user.id}/bots`);
  expect(seen.body).toEqual({ items: [created], next: null });
});

const HALT = { action: "BlockEntries", reason: "The exchange lies" };

async function halted(scope: object): Promise<string> {
  const { status, body } = await people.operator.call("POST /api/admin/halts", {
    body: { ...HALT, scope },
  });
  expect(status).toBe(201);
  return WithId.parse(body).id;
}

test("one person stops and resumes a part of the platform", async () => {
  const { operator, viewer } = people;
  const id = await halted({ type: "symbol", value: "BTC/USDT:USDT" });
  expect((await viewer.call(`GET /api/admin/halts/${id}`)).body).toMatchObject({
    id,
    lifted: false,
    scope: { type: "symbol", value: "BTC/USDT:USDT" },
  });
  const { status, body } = await operator.call(`POST /api/admin/halts/${id}/lift`);
  expect({ status, body }).toMatchObject({
    status: 200,
    body: { halt: { lifted: true }, approvableUntil: null },
  });
  expect(
    Items.pick({ items: true }).parse((await viewer.call("GET /api/admin/halts")).body).items,
  ).toMatchObject([{ id }]);
});

test("a halt that can match nothing is refused with the reason", async () => {
  const { status, body } = await people.operator.call("POST /api/admin/halts", {
    body: { ...HALT, scope: { type: "exchange", value: "bybitt" } },
  });
  expect({ status, body }).toMatchObject({ status: 422, body: { code: "refused_by_rule" } });
});

test.each([
  ["all bots", { type: "all" }],
  ["all bots of an exchange", { type: "exchange", value: "bybit" }],
])("%s trade again only when a second person approves in time", async (...[, scope]) => {
  const { operator, second } = people;
  const id = await halted(scope);
  const path = `/api/admin/halts/${id}`;
  const isLifted = async () =>
    z.object({ lifted: z.boolean() }).parse((await operator.call(`GET ${path}`)).body).lifted;
  const missing = { status: 409, body: { code: "approval_missing" } };

  expect(await second.call(`POST ${path}/approve`)).toMatchObject(missing); // nobody has asked
  expect(await operator.call(`POST ${path}/lift`)).toMatchObject({ status: 202 });
  expect(await operator.call(`POST ${path}/lift`)).toMatchObject({ status: 202 }); // twice is once
  expect(await operator.call(`POST ${path}/approve`)).toMatchObject(missing); // one's own
  expect(await isLifted()).toBe(false);

  const { superuser } = api.database;
  await superuser.query(
    "update halt_lifts set requested_at = now() - interval '15 minutes 1 second'",
  );
  expect(await second.call(`POST ${path}/approve`)).toMatchObject(missing); // too late
  await operator.call(`POST ${path}/lift`);
  await superuser.query("update users set role = null where id = $1", [operator.id]);
  expect(await second.call(`POST ${path}/approve`)).toMatchObject(missing); // who asked may no more
  const disable = "update users set role = 'operator', disabled_at = now() where id = $1";
  await superuser.query(disable, [operator.id]);
  expect(await second.call(`POST ${path}/approve`)).toMatchObject(missing);
  await superuser.query("update users set disabled_at = null where id = $1", [operator.id]);
  expect(await isLifted()).toBe(false);

  expect(await second.call(`POST ${path}/approve`)).toMatchObject({
    status: 200,
    body: { lifted: true },
  });
  expect(await second.call(`POST ${path}/approve`)).toMatchObject({ status: 200 }); // repeated
  const [lifted] = await audited(`action = 'halt.lift' and object = 'halt/${id}'`);
  expect(lifted).toMatchObject({ actor_id: second.id });
});

async function wished(): Promise<{ readonly id: string; readonly path: `/api/${string}` }> {
  const id = await halted({ type: "all" });
  const path = `/api/admin/halts/${id}` as const;
  expect((await people.operator.call(`POST ${path}/lift`)).status).toBe(202);
  return { id, path };
}

test("whoever has lost the role since the request began approves nothing", async () => {
  const former = await signUpAdministrator(api, "former", "operator");
  const { id, path } = await wished();
  const { superuser, adminUrl } = api.database;
  const { halts } = createKube(api.cluster.client);
  const losing = {
    ...halts,
    get: async (key: { readonly name: string }) => {
      await superuser.query("update users set role = null where id = $1", [former.id]);
      return halts.get(key);
    },
  };
  const adminPool = createPool({ url: adminUrl, connectionsMax: 1 });
  const actor = {
    userId: former.id,
    role: "operator",
    address: "192.0.2.1",
    requestId: "r",
  } as const;
  await expect(
    approveLift({ adminPool, kube: { halts: losing } }, actor, id),
  ).rejects.toMatchObject({ code: "role_missing" });
  await adminPool.end();
  expect((await people.operator.call(`GET ${path}`)).body).toMatchObject({ lifted: false });
  expect(await audited(`action = 'halt.lift' and object = 'halt/${id}'`)).toEqual([]);
  expect((await people.second.call(`POST ${path}/approve`)).status).toBe(200);
});

test("of two approvals at the same moment one is written and audited, also when it was asked for twice", async () => {
  const { operator, second, admin } = people;
  const { id, path } = await wished();
  await operator.call(`POST ${path}/lift`);
  const { superuser } = api.database;
  const waiting = async () => {
    const { rowCount } = await superuser.query("select from pg_locks where not granted");
    return rowCount === 2;
  };
  await superuser.query("begin");
  await superuser.query("select from halt_lifts where halt = $1 for update", [id]);
  const approvals = [second, admin].map(({ call }) => call(`POST ${path}/approve`));
  await vi.waitUntil(waiting, { timeout: 10_000 });
  await superuser.query("commit");
  const answers = (await Promise.all(approvals)).map(({ status }) => status);
  expect(answers.toSorted((one, two) => one - two)).toEqual([200, 409]);
  const approver = answers[0] === 200 ? second : admin;
  const { rows } = await superuser.query(
    "select approved_by from halt_lifts where halt = $1 and approved_by is not null",
    [id],
  );
  expect(rows).toEqual([{ approved_by: approver.id }]);
  expect(await audited(`action = 'halt.lift' and object = 'halt/${id}'`)).toMatchObject([
    { actor_id: approver.id },
  ]);
});

test("whatever administrators ask for is audited, reading too, and can be searched", async () => {
  const { viewer, operator } = people;
  const user = await signUp(api, "watched");
  await viewer.call(`GET /api/admin/users/${user.id}`);
  await viewer.call(`POST /api/admin/users/${user.id}/disable`);
  await api.audit.flush();
  const search = `GET /api/admin/audit?actorId=${viewer.id}&action=*` as const;
  const read = await operator.call(`GET /api/admin/audit?userId=${user.id}&actorId=${viewer.id}`);
  const told = { actorId: viewer.id, userId: user.id, action: "GET /api/admin/users/:id" };
  expect(read.body).toMatchObject({
    items: [
      { ...told, actorKind: "admin", outcome: "done" },
      { ...told, actorKind: "admin", outcome: "attempted" },
    ],
  });
  const denied = await operator.call(`${search}&outcome=denied`);
  expect(denied.body).toMatchObject({
    items: [{ action: "POST /api/admin/users/:id/disable", code: "role_missing" }],
  });
  const first = Items.parse((await operator.call(`${search}&limit=1`)).body);
  const rest = Items.parse((await operator.call(`${search}&limit=200&cursor=${first.next}`)).body);
  const all = Items.parse((await operator.call(`${search}&limit=200`)).body);
  expect([...first.items, ...rest.items]).toEqual(all.items);
  expect(all.items.length).toBeGreaterThan(5);
  const longAgo = "0000-01-01T00:00:00Z";
  const cursor = Buffer.from(JSON.stringify([longAgo, viewer.id])).toString("base64url");
  expect((await operator.call(`${search}&from=${longAgo}`)).status).toBe(200);
  for (const range of [`to=${longAgo}`, `cursor=${cursor}`]) {
    expect((await operator.call(`${search}&${range}`)).body).toEqual({ items: [], next: null });
  }
});

test("the summary counts", async () => {
  const { body } = await people.viewer.call("GET /api/admin/summary");
  const { rows } = await api.database.superuser.query<{ users: number; free: number }>(
    "select count(*)::int as users, (count(*) filter (where tier = 'free'))::int as free from users",
  );
  expect(body).toMatchObject({
    users: { total: rows[0]?.users, byTier: { free: rows[0]?.free } },
    bots: { total: 1, reporting: 0 },
    halts: { inForce: 0 },
  });
});
