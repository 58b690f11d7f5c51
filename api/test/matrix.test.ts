import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { z } from "zod";
import { Scope } from "../src/auth/scopes.ts";
import { createPool } from "../src/database.ts";
import { createKube } from "../src/kube.ts";
import { workOnPersonalData } from "../src/personal-data/work.ts";
import {
  APP_URL,
  caller,
  signUp,
  startApi,
  type Answer,
  type TestApi,
  type TestUser,
} from "./api.ts";
import { createAuthenticator } from "./authenticator.ts";
import { PASSWORD, signUpAdministrator } from "./second-factor.ts";

// Every route of the description × everybody who may come: a new route is in here by being described.

let api: TestApi;
let owner: TestUser;
let other: TestUser;
let revoked: TestUser;
/** API tokens of the owner that allowed all that a token may. */
let overTokens: { readonly expired: string; readonly revoked: string };
/** Of things that belong to the owner, by the path that leads to them. */
let ids: Readonly<Record<string, string>>;

const KEY = { apiKey: "owners-key", apiSecret: "owners-secret" };
const ACCOUNT = { exchange: "bybit", name: "Main", testnet: true, credentials: KEY };
const BOT = {
  displayName: "Owners robot",
  exchange: "bybit",
  mode: "paper",
  symbols: ["BTC/USDT:USDT"],
  strategy: { name: "rsi", params: {} },
};
const CONFIG = {
  symbol: "BTC/USDT:USDT",
  leverage: 10,
  balance_percent: 90,
  tp_percent: 2,
  sl_percent: 1,
  min_confidence: 60,
  auto_trade: false,
};

/** A valid body for every route that wants one: without it the answer would be about the body. */
const BODIES: Readonly<Record<string, object>> = {
  "POST /api/auth/register": { email: "x@example.com", password: "correct horse battery" },
  "POST /api/auth/login": { email: "x@example.com", password: "correct horse battery" },
  "POST /api/auth/password": { currentPassword: "wrong password", newPassword: "another long one" },
  "POST /api/auth/step-up": { password: "wrong password" },
  "POST /api/auth/mfa/totp/confirm": { code: "000000" },
  "POST /api/auth/verification-code": { code: "000000" },
  "POST /api/passkeys": {
    state: "AAAA",
    name: "Phone",
    credential: {
      id: "AAAA",
      rawId: "AAAA",
      type: "public-key",
      response: { clientDataJSON: "AAAA", attestationObject: "AAAA" },
    },
  },
  "POST /api/tokens": { name: "Script", scopes: ["read"] },
  "POST /api/accounts": ACCOUNT,
  "PUT /api/accounts/{id}/credentials": KEY,
  "POST /api/bots": BOT,
  "PATCH /api/bots/{id}": { displayName: "Taken over" },
  "POST /api/bots/{id}/positions/close": { symbol: "BTC/USDT:USDT" },
  "POST /api/bots/{id}/orders/cancel": { symbol: "BTC/USDT:USDT" },
  "POST /api/bots/{id}/orders": { symbol: "BTC/USDT:USDT", side: "long" },
  "PUT /api/robot/config": CONFIG,
  "PATCH /api/admin/users/{id}": { tier: "pro" },
  "POST /api/admin/halts": {
    scope: { type: "user", value: "00000000-0000-4000-8000-00000000dead" },
    action: "BlockEntries",
    reason: "Of the matrix",
  },
};

const Description = z.object({
  paths: z.record(z.string(), z.record(z.string(), z.unknown())),
});
/** Routes that need no access token: they are how one gets it, or tell nothing of anybody. */
const OPEN = new Set([
  "POST /api/auth/register",
  "POST /api/auth/login",
  "POST /api/auth/refresh",
  "POST /api/auth/logout",
  "POST /api/auth/verify-email",
  "POST /api/auth/forgot",
  "POST /api/auth/reset",
  "POST /api/auth/passkey-challenge",
  "POST /api/auth/passkey-login",
  "GET /.well-known/jwks.json",
  "GET /healthz",
  "GET /readyz",
]);

const ADMIN = / \/api\/admin\b/;

/** Answers without an end to whoever is let in: live.test.ts shows that it carries its listener's events only. */
const ENDLESS = "GET /api/events";

async function routes(): Promise<readonly string[]> {
  const { body } = await caller(api)("GET /api/openapi.json");
  return Object.entries(Description.parse(body).paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
}

/** The route with the owner's ids in place of its parameters. */
function filled(route: string): Parameters<ReturnType<typeof caller>>[0] {
  const [, kind = ""] = /\/api\/(?:admin\/)?([\w-]+)\//.exec(route) ?? [];
  const [method, path = ""] = route
    .replace("{id}", ids[kind] ?? "{id}")
    .replace("{requestId}", "c0ffee00-1111-4222-8333-444455556666")
    .replace("{file}", "profile.json")
    .split(" ", 2);
  expect(path, `add an id for ${route}`).not.toContain("{");
  const query = route === "GET /api/equity" ? `?botId=${ids["bots"]}` : "";
  return `${z.enum(["GET", "POST", "PUT", "PATCH", "DELETE"]).parse(method)} ${path}${query}`;
}

function ask(call: ReturnType<typeof caller>, route: string): Promise<Answer> {
  const body = BODIES[route];
  return call(filled(route), body === undefined ? {} : { body });
}

/** A trade, and a robot of the old interface, so that lists and sums have something to leak. */
async function trade(): Promise<void> {
  await owner.call("PUT /api/robot/config", { body: CONFIG });
  await api.database.superuser.query(
    `insert into trades (user_id, bot_id, id, epoch, sequence, symbol, side, quantity, entry_price,
                         exit_price, pnl, fees, opened_at, closed_at, reason)
     values ($1, $2, $3, 1, 1, 'BTC/USDT:USDT', 'long', 1, 100, 101, 1234.5678, 0.1,
             now() - interval '2 hours', now() - interval '1 hour', 'target')`,
    [owner.id, ids["bots"], TRADE],
  );
}

const TRADE = "7d9c1d8e-6d2f-4a53-9b55-0a5f6c3e2b11";
const LISTED = new Set(["sessions", "tokens", "passkeys"]);
const NAMES = ["Owners robot", "Owners phone", "Owners script"];
const SECRETS = [...Object.values(KEY), ...NAMES, "1234.5678", TRADE];
const WithId = z.object({ id: z.string() });
const Items = z.object({ items: z.array(WithId).min(1) });

/** A passkey of the owner: from now on their password alone is half a log-in. */
async function passkey(): Promise<string> {
  const offered = await owner.call("POST /api/passkeys/options");
  const { state, options } = z
    .object({ state: z.string(), options: z.unknown() })
    .parse(offered.body);
  const credential = createAuthenticator({ origin: APP_URL }).create(options);
  const body = { state, credential, name: "Owners phone" };
  return WithId.parse((await owner.call("POST /api/passkeys", { body })).body).id;
}

async function apiToken(user: TestUser, ...scopes: readonly Scope[]) {
  const body = { name: "Owners script", scopes };
  const made = await user.call("POST /api/tokens", { body });
  return WithId.extend({ token: z.string() }).parse(made.body);
}

async function tokensThatAreOver(): Promise<typeof overTokens> {
  const expired = await apiToken(owner, ...Scope.options);
  await api.database.superuser.query(
    "update api_tokens set expires_at = now() - interval '1 second' where id = $1",
    [expired.id],
  );
  const ended = await apiToken(owner, ...Scope.options);
  const statusOfEnded = async () => (await caller(api, ended.token)("GET /api/me")).status;
  expect(await statusOfEnded()).toBe(200); // from now on the process knows it
  await owner.call(`DELETE /api/tokens/${ended.id}`);
  await vi.waitUntil(async () => (await statusOfEnded()) === 401, { timeout: 10_000 });
  return { expired: expired.token, revoked: ended.token };
}

async function everything(): Promise<Readonly<Record<string, string>>> {
  const [session] = Items.parse((await owner.call("GET /api/sessions")).body).items;
  return {
    accounts: WithId.parse((await owner.call("POST /api/accounts", { body: ACCOUNT })).body).id,
    bots: WithId.parse((await owner.call("POST /api/bots", { body: BOT })).body).id,
    sessions: session?.id ?? "",
    tokens: (await apiToken(owner, "read")).id,
    passkeys: await passkey(),
    users: owner.id,
    "personal-data": WithId.parse((await owner.call("POST /api/personal-data/export")).body).id,
    halts: "halt-of-nobody",
  };
}

/** What the owner sees, without what differs from request to request. */
async function world(): Promise<string> {
  const answers = [
    await owner.call(`GET /api/bots/${ids["bots"] ?? ""}`),
    await owner.call(`GET /api/accounts/${ids["accounts"] ?? ""}`),
    await owner.call("GET /api/sessions"),
    await owner.call("GET /api/tokens"),
    await owner.call("GET /api/passkeys"),
  ];
  return JSON.stringify(answers.map(({ status, body }) => ({ status, body })));
}

function fail(error: unknown): never {
  throw error;
}

/** The owner's export has files from now on. */
async function finishExport(): Promise<void> {
  const workerPool = createPool({ url: api.database.workerUrl, connectionsMax: 1 });
  const kube = createKube(api.cluster.client);
  await workOnPersonalData({ pool: api.pool, workerPool, kube, onError: fail });
  await workerPool.end();
}

beforeAll(async () => {
  api = await startApi();
  owner = await signUp(api, "owner");
  other = await signUp(api, "other");
  revoked = await signUp(api, "revoked");
  ids = await everything();
  await trade();
  await finishExport();
  overTokens = await tokensThatAreOver();
  await revoked.call("DELETE /api/sessions");
  await vi.waitUntil(async () => (await revoked.call("GET /api/me")).status === 401, {
    timeout: 10_000,
  });
});
afterAll(() => api.stop());

test("without a valid token every route but the open ones answers 401 and nothing else", async () => {
  const expired = await api.tokenOfThePast(owner.id);
  const halfIn = await caller(api)("POST /api/auth/login", {
    body: { email: owner.email, password: PASSWORD },
  });
  const { requestId } = z.object({ requestId: z.string() }).parse(halfIn.body);
  const strangers: readonly [string, ReturnType<typeof caller>, string][] = [
    ["anonymous", caller(api), "unauthenticated"],
    ["expired", caller(api, expired), "token_expired"],
    ["revoked", revoked.call, "session_ended"],
    ["expired API token", caller(api, overTokens.expired), "unauthenticated"],
    ["revoked API token", caller(api, overTokens.revoked), "unauthenticated"],
    ["spoilt", caller(api, `${owner.accessToken}x`), "unauthenticated"],
    // All that somebody gets who has shown a password and no second factor.
    ["half in", caller(api, requestId), "unauthenticated"],
  ];
  const answers = [];
  for (const route of (await routes()).filter((each) => !OPEN.has(each))) {
    for (const [who, call, code] of strangers) {
      const { status, body } = await ask(call, route);
      const seen = z.object({ code: z.string() }).parse(body).code;
      answers.push({ route, who, wanted: `401 ${code}`, got: `${status} ${seen}` });
    }
  }
  expect(answers.length).toBeGreaterThan(80);
  expect(answers.filter(({ wanted, got }) => wanted !== got)).toEqual([]);
});

test.each([
  ["another user", async () => other],
  // A role is for /api/admin: elsewhere it opens nothing.
  ["an admin", async () => signUpAdministrator(api, "curious-admin", "admin")],
] as const)(
  "to %s what is the owner's is not found, and appears in no answer",
  async (_name, who) => {
    const { call, id } = await who();
    const before = await world();
    const found: string[] = [];
    const others = (await routes()).filter((each) => !OPEN.has(each));
    // An admin is told of users, and the tests below hold them to it.
    for (const route of others.filter((each) => id === other.id || !ADMIN.test(each))) {
      // It would end the session that asks.
      if (route === "DELETE /api/sessions" || route === ENDLESS) continue;
      // Nobody would be left for what comes after.
      if (route === "POST /api/personal-data/erasure") continue;
      const { status, body } = await ask(call, route);
      const text = JSON.stringify(body ?? null);
      const leaks = [...Object.values(ids), owner.id, ...SECRETS];
      if (route.includes("{") && status !== 404) found.push(`${route}: ${status}`);
      // The other user's own new objects bear the same names.
      const isOwn = /^(POST|GET) \/api\/(bots|accounts)$/.test(route);
      const words = isOwn ? [...Object.values(ids), owner.id, TRADE] : leaks;
      // An id that the request itself named may be repeated to whoever named it.
      const told = words.filter((word) => text.includes(word) && !filled(route).includes(word));
      found.push(...told.map((word) => `${route}: ${word}`));
    }
    expect(found).toEqual([]);
    expect(await world()).toBe(before);
  },
);

test("the owner gets what the others did not", async () => {
  expect(JSON.stringify((await owner.call("GET /api/trades")).body)).toContain(TRADE);
  expect((await owner.call("GET /api/trades/statistics")).body).toMatchObject({ pnl: "1234.5678" });
  for (const [kind, id] of Object.entries(ids)) {
    if (kind === "users" || kind === "halts") continue; // for administrators
    const { status, body } = await owner.call(
      LISTED.has(kind) ? `GET /api/${kind}` : `GET /api/${kind}/${id}`,
    );
    expect({ kind, status }).toEqual({ kind, status: 200 });
    expect(JSON.stringify(body)).toContain(id);
  }
});

test("who has shown a password and no second factor holds nothing", async () => {
  const body = { email: owner.email, password: PASSWORD };
  const pending = await caller(api)("POST /api/auth/login", { body });
  expect(pending).toMatchObject({ status: 401, body: { code: "mfa_required" } });
  expect(pending.headers["set-cookie"]).toBeUndefined();
  const told = ["type", "title", "status", "code", "detail", "requestId"];
  expect(Object.keys(z.looseObject({}).parse(pending.body)).toSorted()).toEqual(told.toSorted());
  const { items } = Items.parse((await owner.call("GET /api/sessions")).body);
  expect(items).toHaveLength(1);
});

const Scoped = z.object({
  security: z.array(z.object({ apiToken: z.array(Scope).optional() })).optional(),
});
/** Where a script has no business: it could give itself more than it was given. */
const NEVER = /^\/api\/(auth|tokens|sessions|passkeys|admin)\b/;

test("an API token goes where the description names its scope, and nowhere else", async () => {
  const { body } = await caller(api)("GET /api/openapi.json");
  const described = Object.entries(Description.parse(body).paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const ways = Scoped.parse(operation).security ?? [];
      const [scope] = ways.flatMap(({ apiToken: scopes }) => scopes ?? []);
      return { path, route: `${method.toUpperCase()} ${path}`, scope };
    }),
  );
  expect(described.filter(({ path, scope }) => NEVER.test(path) && scope !== undefined)).toEqual(
    [],
  );
  expect(new Set(described.map(({ scope }) => scope)).size).toBe(Scope.options.length + 1);
  const wrong: string[] = [];
  for (const held of Scope.options) {
    const call = caller(api, (await apiToken(other, held)).token);
    for (const { route, scope } of described.filter((each) => !OPEN.has(each.route))) {
      if (route === ENDLESS && scope === held) continue;
      const answer = await ask(call, route);
      const code = z.object({ code: z.string() }).catch({ code: "" }).parse(answer.body).code;
      const isRefused = /^403 (token_refused|scope_missing)$/.test(`${answer.status} ${code}`);
      const wanted = scope === undefined ? "token_refused" : "scope_missing";
      const isRight = scope === held ? !isRefused : isRefused && code === wanted;
      if (!isRight || answer.status === 401)
        wrong.push(`${held} ${route}: ${answer.status} ${code}`);
    }
  }
  expect(wrong).toEqual([]);
});

const WithRole = z.object({ "x-role": z.enum(["viewer", "operator", "admin"]) });
const ROLES = WithRole.shape["x-role"].options;

test("every route of the admin API is for the role that it names and those above", async () => {
  const { body } = await caller(api)("GET /api/openapi.json");
  const described = Object.entries(Description.parse(body).paths)
    .filter(([path]) => path.startsWith("/api/admin"))
    .flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({
        route: `${method.toUpperCase()} ${path}`,
        least: WithRole.parse(operation)["x-role"],
      })),
    );
  expect(described.length).toBeGreaterThan(10);
  const target = await signUp(api, "target");
  ids = { ...ids, users: target.id };
  const wrong: string[] = [];
  for (const role of ROLES) {
    const administrator = await signUpAdministrator(api, role, role);
    for (const { route, least } of described) {
      const { status } = await ask(administrator.call, route);
      const isMissing = ROLES.indexOf(role) < ROLES.indexOf(least);
      if ((status === 403) !== isMissing) wrong.push(`${role} ${route}: ${status}`);
      if ((await ask(other.call, route)).status !== 404) wrong.push(`other ${route}`);
    }
  }
  expect(wrong).toEqual([]);
});

test("an administrator whose log-in has shown no second factor gets no further than the door", async () => {
  const pending = await signUp(api, "pending");
  await api.database.superuser.query("update users set role = 'admin' where id = $1", [pending.id]);
  const wrong: string[] = [];
  for (const route of (await routes()).filter((each) => ADMIN.test(each))) {
    const { status, body } = await ask(pending.call, route);
    const { code } = z.object({ code: z.string() }).parse(body);
    if (code !== "second_factor_required") wrong.push(`${route}: ${status} ${code}`);
  }
  expect(wrong).toEqual([]);
});

test("an administrator changes nothing with a log-in that is older than five minutes, and may look on", async () => {
  const resting = await signUpAdministrator(api, "resting", "admin");
  await api.database.superuser.query(
    "update sessions set authenticated_at = now() - interval '6 minutes' where user_id = $1",
    [resting.id],
  );
  const described = (await routes()).filter((each) => ADMIN.test(each));
  const stopped: string[] = [];
  for (const route of described) {
    const { body } = await ask(resting.call, route);
    const { code } = z.object({ code: z.string() }).catch({ code: "" }).parse(body);
    if (code === "step_up_required") stopped.push(route);
  }
  expect(stopped.length).toBeGreaterThan(5);
  expect(stopped).toEqual(described.filter((route) => !route.startsWith("GET ")));
});

test.each(["GET /api/me", "GET /api/nothing", "GET /healthz"] as const)(
  "the answer to %s can be neither run, framed, kept nor guessed at",
  async (request) => {
    expect((await owner.call(request)).headers).toMatchObject({
      "content-security-policy": "default-src 'none';frame-ancestors 'none'",
      "strict-transport-security": "max-age=63072000; includeSubDomains",
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "cache-control": "no-store",
    });
  },
);

/** What a valid request of the owner may meet besides success: things that are not there, or need somebody else. */
const MAY_MEET = new Set([
  "invalid_credentials", // the bodies above name wrong passwords and codes
  "code_invalid",
  "passkey_invalid",
  "mail_unavailable",
  "balance_pending",
  "account_ambiguous",
  "bot_idle", // nobody runs the owner's bot
  "bot_not_running",
]);
/** In this order: what reads, what changes, what ends things, and then what ends everything. */
const ENDS = ["GET", "PUT", "PATCH", "POST", "DELETE"];
const ENDS_EVERYTHING = [
  "POST /api/personal-data/erasure",
  "DELETE /api/sessions/{id}",
  "DELETE /api/sessions",
];
/** Of what this owner has not: a request of a bot, and an authenticator app. */
const NOT_THERE = new Set(["GET /api/bots/{id}/requests/{requestId}", "DELETE /api/auth/mfa/totp"]);

const rank = (route: string) => ENDS.indexOf(route.split(" ", 1)[0] ?? "");

test("no route is closed to the owner", async () => {
  const own = (await routes()).filter(
    (route) => !OPEN.has(route) && !ADMIN.test(route) && route !== ENDLESS,
  );
  const ordered = own
    .filter((route) => !ENDS_EVERYTHING.includes(route))
    .toSorted((one, two) => rank(one) - rank(two));
  const closed: string[] = [];
  for (const route of [...ordered, ...ENDS_EVERYTHING]) {
    const { status, body } = await ask(owner.call, route);
    const { code } = z.object({ code: z.string() }).catch({ code: "" }).parse(body);
    const isThere = !NOT_THERE.has(route) || status !== 404;
    if (status >= 300 && isThere && !MAY_MEET.has(code)) closed.push(`${route}: ${status} ${code}`);
  }
  expect(own.length).toBeGreaterThan(40);
  expect(closed).toEqual([]);
});
