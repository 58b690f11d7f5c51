import { credentialsPath, ExchangeAccount, TradingBot } from "@tradingbots/crds";
import { customResource } from "@tradingbots/kube";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { caller, signUp, startApi, type Answer, type TestApi, type TestUser } from "./api.ts";

let api: TestApi;
let alice: TestUser;
let bob: TestUser;

beforeAll(async () => {
  api = await startApi();
  [alice, bob] = await Promise.all([signUp(api, "alice"), signUp(api, "bob")]);
});
afterAll(() => api.stop());

const KEY = { apiKey: "alices-key-000111", apiSecret: "alices-secret-222333" };
const ACCOUNT = { exchange: "bybit", name: "Main", testnet: true, credentials: KEY };
const PAPER = {
  displayName: "Paper",
  exchange: "bybit",
  mode: "paper",
  symbols: ["BTC/USDT:USDT"],
  strategy: { name: "rsi", params: {} },
};

const WithId = z.object({ id: z.string() });
const idOf = ({ body }: Answer): string => WithId.parse(body).id;
const codeOf = ({ status, body }: Answer) => ({
  status,
  code: z.object({ code: z.string() }).parse(body).code,
});

const BOTS = customResource(TradingBot);
const ACCOUNTS = customResource(ExchangeAccount);

async function bucketOf(user: TestUser): Promise<string> {
  const { rows } = await api.database.superuser.query<{ namespace: string }>(
    "select namespace from users where id = $1",
    [user.id],
  );
  return rows[0]?.namespace ?? "";
}

async function botResource(user: TestUser, id: string) {
  return api.cluster.admin.get(BOTS, { namespace: await bucketOf(user), name: id });
}

async function accountResource(user: TestUser, id: string) {
  return api.cluster.admin.get(ACCOUNTS, { namespace: await bucketOf(user), name: id });
}

async function setTier(user: TestUser, tier: string): Promise<void> {
  await api.database.superuser.query("update users set tier = $2 where id = $1", [user.id, tier]);
}

/** Makes a request while creations in the cluster, or the answers to them, are lost. */
async function during<T>(fault: "request lost" | "answer lost", request: () => Promise<T>) {
  api.connection.fault = fault;
  return request().finally(() => (api.connection.fault = "none"));
}

const auth = (path: "register" | "login", email: string, password: string) =>
  caller(api)(`POST /api/auth/${path}`, { body: { email, password } });

describe("sign-up and login", () => {
  test("a user signs up, logs in whatever the case of the address, and reads themself", async () => {
    expect(await auth("register", "Carol@Example.com", "a long enough one")).toMatchObject({
      status: 201,
      body: { user: { email: "carol@example.com", tier: "free" }, expiresIn: 900 },
    });
    const login = await auth("login", "CAROL@example.com", "a long enough one");
    expect(login).toMatchObject({ status: 200, body: { user: { email: "carol@example.com" } } });
    const { accessToken } = z.object({ accessToken: z.string() }).parse(login.body);
    expect(await caller(api, accessToken)("GET /api/me")).toMatchObject({
      status: 200,
      body: { email: "carol@example.com", tier: "free" },
    });
  });

  test.for<[string, "register" | "login", string, string, { status: number; code: string }]>([
    [
      "taken",
      "register",
      "alice@example.com",
      "x".repeat(12),
      { status: 409, code: "email_taken" },
    ],
    [
      "breached",
      "register",
      "d@example.com",
      "everybody uses it",
      { status: 422, code: "weak_password" },
    ],
    ["short", "register", "d@example.com", "eleven char", { status: 422, code: "weak_password" }],
    ["long", "register", "d@example.com", "ü".repeat(37), { status: 422, code: "weak_password" }],
    ["no address", "register", "d@", "x".repeat(12), { status: 422, code: "validation_failed" }],
    [
      "wrong",
      "login",
      "alice@example.com",
      "x".repeat(12),
      { status: 401, code: "invalid_credentials" },
    ],
    [
      "unknown",
      "login",
      "nobody@example.com",
      "x".repeat(12),
      { status: 401, code: "invalid_credentials" },
    ],
    [
      "SQL",
      "login",
      "'or'1'='1@example.com",
      "x".repeat(12),
      { status: 422, code: "validation_failed" },
    ],
  ])("refused: %s", async ([, path, email, password, expected]) => {
    expect(codeOf(await auth(path, email, password))).toEqual(expected);
  });

  test("ten failures lock one address out of one account, and no other", async () => {
    for (let attempt = 0; attempt < 10; attempt++) {
      expect((await auth("login", "bob@example.com", "wrong password")).status).toBe(401);
    }
    const locked = await auth("login", "bob@example.com", "correct horse battery");
    expect(codeOf(locked)).toEqual({ status: 429, code: "too_many_attempts" });
    expect(Number(locked.headers["retry-after"])).toBeGreaterThan(0);
    expect((await auth("login", "alice@example.com", "correct horse battery")).status).toBe(200);
  });

  test("a token of another key, a spoilt one and none are refused", async () => {
    const spoilt = `${alice.accessToken.slice(0, -4)}AAAA`;
    for (const token of [spoilt, "x.y.z", undefined]) {
      const answer = await caller(api, token)("GET /api/me");
      expect(codeOf(answer)).toEqual({ status: 401, code: "unauthenticated" });
    }
  });
});

describe("exchange accounts", () => {
  test("of an exchange that no bot can trade on: no key is taken", async () => {
    const before = (await alice.call("GET /api/accounts")).body;
    const answer = await alice.call("POST /api/accounts", {
      body: { ...ACCOUNT, exchange: "kraken" },
    });
    expect(codeOf(answer)).toEqual({ status: 422, code: "exchange_unsupported" });
    expect(JSON.stringify(answer.body)).toMatch(/kraken.*use bybit/);
    expect((await alice.call("GET /api/accounts")).body).toEqual(before);
  });

  test("the key goes to Vault under the account's own path and nowhere else", async () => {
    const created = await alice.call("POST /api/accounts", { body: ACCOUNT });
    expect(created).toMatchObject({
      status: 201,
      body: {
        exchange: "bybit",
        name: "Main",
        testnet: true,
        credentialsVersion: 1,
        verification: { state: "pending", permissions: [], balance: null, asOf: null },
      },
    });
    const id = idOf(created);
    const namespace = await bucketOf(alice);
    expect(api.credentials.peek(`${namespace}/${id}`)).toEqual(KEY);
    const resource = await accountResource(alice, id);
    expect(resource?.spec).toMatchObject({ userId: alice.id, exchange: "bybit", state: "Active" });
    expect(resource?.metadata.labels).toMatchObject({ "tradingbots.dev/user": alice.id });

    const newer = { apiKey: "alices-newer-key", apiSecret: "alices-newer-secret" };
    const replaced = await alice.call(`PUT /api/accounts/${id}/credentials`, { body: newer });
    expect(replaced).toMatchObject({ status: 202, body: { credentialsVersion: 2 } });
    expect(api.credentials.peek(`${namespace}/${id}`)).toEqual(newer);

    const everything = JSON.stringify([
      created,
      replaced,
      await alice.call("GET /api/accounts"),
      resource,
      api.logs,
    ]);
    for (const secret of [...Object.values(KEY), ...Object.values(newer)]) {
      expect(everything).not.toContain(secret);
    }
  });

  test.each([
    ["a letter outside ASCII in the key", { apiKey: "schlüssel" }],
    ["a blank copied along with the key", { apiKey: "key " }],
    ["a letter outside ASCII in the secret", { apiSecret: "geheimniß" }],
  ])("%s is refused before anything is stored", async (_name, wrong) => {
    const body = { ...ACCOUNT, credentials: { ...KEY, ...wrong } };
    const refused = await alice.call("POST /api/accounts", { body });
    expect(codeOf(refused)).toEqual({ status: 422, code: "validation_failed" });
    expect(JSON.stringify(refused)).toContain("ASCII");
    for (const secret of Object.values(wrong)) {
      expect(JSON.stringify(refused)).not.toContain(secret);
    }
  });

  test("verification is what the operator wrote about the newest key", async () => {
    const id = idOf(await alice.call("POST /api/accounts", { body: ACCOUNT }));
    const key = { namespace: await bucketOf(alice), name: id };
    const seen = { reason: "Verified", message: "", permissions: ["orders"], balance: "1000.50" };
    const write = (verification: object) =>
      api.cluster.admin.patch(ACCOUNTS, key, {
        type: "merge",
        subresource: "status",
        body: {
          status: { verification: { ...seen, asOf: "2026-01-01T00:00:00Z", ...verification } },
        },
      });
    const read = () => alice.call(`GET /api/accounts/${id}`);
    await write({ state: "verified", credentialsVersion: 1 });
    expect(await read()).toMatchObject({
      body: { verification: { state: "verified", permissions: ["orders"], balance: "1000.50" } },
    });
    await write({ state: "refused", credentialsVersion: 1, reason: "KeyInvalid", message: "no" });
    expect(await read()).toMatchObject({
      body: { verification: { state: "refused", reason: "KeyInvalid", message: "no" } },
    });
    await alice.call(`PUT /api/accounts/${id}/credentials`, { body: KEY });
    expect(await read()).toMatchObject({ body: { verification: { state: "pending" } } });
    await alice.call(`DELETE /api/accounts/${id}`);
  });

  test("a bot that joins an account while it is given up is retired with it", async () => {
    const accountId = idOf(await bob.call("POST /api/accounts", { body: ACCOUNT }));
    const id = idOf(await bob.call("POST /api/bots", { body: PAPER }));
    const { client } = api.cluster;
    const patch = client.patch.bind(client);
    vi.spyOn(client, "patch").mockImplementationOnce(async (...args) => {
      expect((await bob.call(`DELETE /api/accounts/${accountId}`)).status).toBe(202);
      return patch(...args);
    });
    const late = await bob.call(`PATCH /api/bots/${id}`, { body: { mode: "testnet", accountId } });
    expect(codeOf(late)).toEqual({ status: 404, code: "account_not_found" });
    expect((await botResource(bob, id))?.spec).toMatchObject({
      accountName: accountId,
      state: "Retired",
    });
  });

  test("a key that is replaced while its account comes to its end is kept nowhere", async () => {
    const id = idOf(await alice.call("POST /api/accounts", { body: ACCOUNT }));
    const namespace = await bucketOf(alice);
    const path = credentialsPath(namespace, id);
    const vault = { ...api.credentials };
    vi.spyOn(api.credentials, "replace").mockImplementationOnce(async (...args) => {
      expect((await alice.call(`DELETE /api/accounts/${id}`)).status).toBe(202);
      api.credentials.forget(path);
      await api.cluster.admin.remove(ACCOUNTS, { namespace, name: id });
      return vault.replace(...args);
    });
    const late = await alice.call(`PUT /api/accounts/${id}/credentials`, { body: KEY });
    expect(codeOf(late)).toEqual({ status: 404, code: "not_found" });
    expect(api.credentials.peek(path)).toBeUndefined();
  });

  test("an account whose key was lost gets another", async () => {
    const id = idOf(await alice.call("POST /api/accounts", { body: ACCOUNT }));
    const path = credentialsPath(await bucketOf(alice), id);
    api.credentials.forget(path);
    const stored = await alice.call(`PUT /api/accounts/${id}/credentials`, { body: KEY });
    expect(stored).toMatchObject({ status: 202, body: { credentialsVersion: 1 } });
    expect(api.credentials.peek(path)).toEqual(KEY);
    await alice.call(`DELETE /api/accounts/${id}`);
  });

  test("without Vault nothing is created", async () => {
    api.credentials.setDown(true);
    const before = await alice.call("GET /api/accounts");
    const refused = await alice.call("POST /api/accounts", { body: ACCOUNT });
    api.credentials.setDown(false);
    expect(codeOf(refused)).toEqual({ status: 503, code: "vault_unavailable" });
    expect((await alice.call("GET /api/accounts")).body).toEqual(before.body);
  });

  test("however often it is tried without Vault, no account counts that is not there", async () => {
    const user = await signUp(api, "patient");
    api.credentials.setDown(true);
    for (let attempt = 0; attempt < 20; attempt++) {
      const refused = await user.call("POST /api/accounts", { body: ACCOUNT });
      expect(codeOf(refused)).toEqual({ status: 503, code: "vault_unavailable" });
    }
    api.credentials.setDown(false);
    expect((await user.call("POST /api/accounts", { body: ACCOUNT })).status).toBe(201);
  });

  test("an account counts while Vault may have its key", async () => {
    const user = await signUp(api, "doubtful");
    api.credentials.loseAnswers(true);
    for (let attempt = 0; attempt < 20; attempt++) {
      const refused = await user.call("POST /api/accounts", { body: ACCOUNT });
      expect(codeOf(refused)).toEqual({ status: 503, code: "vault_unavailable" });
    }
    api.credentials.loseAnswers(false);
    const more = await user.call("POST /api/accounts", { body: ACCOUNT });
    expect(codeOf(more)).toEqual({ status: 422, code: "too_many_accounts" });
  });

  test("an account that is given up retires its bots first and takes no further one", async () => {
    const accountId = idOf(await bob.call("POST /api/accounts", { body: ACCOUNT }));
    const bot = { ...PAPER, exchange: undefined, mode: "testnet", accountId };
    const botId = idOf(await bob.call("POST /api/bots", { body: bot }));
    expect((await bob.call(`DELETE /api/accounts/${accountId}`)).status).toBe(202);
    expect((await botResource(bob, botId))?.spec.state).toBe("Retired");
    expect((await accountResource(bob, accountId))?.spec.state).toBe("Retired");
    expect(await bob.call(`GET /api/accounts/${accountId}`)).toMatchObject({
      body: { state: "Retired" },
    });
    const late = await bob.call("POST /api/bots", { body: bot });
    expect(codeOf(late)).toEqual({ status: 404, code: "account_not_found" });
    const key = await bob.call(`PUT /api/accounts/${accountId}/credentials`, { body: KEY });
    expect(key.status).toBe(404);
  });
});

describe("bots", () => {
  test("a bot is created, read, listed, changed, started, paused, stopped and retired", async () => {
    const created = await alice.call("POST /api/bots", { body: PAPER });
    expect(created).toMatchObject({
      status: 201,
      body: {
        displayName: "Paper",
        accountId: null,
        className: "free",
        timeframe: "1m",
        autoTrade: false,
        state: "Stopped",
        risk: { leverage: 10, balancePercent: 90 },
        status: { ready: false, reason: null, conditions: [], position: null },
      },
    });
    const id = idOf(created);
    expect((await botResource(alice, id))?.metadata.labels).toMatchObject({
      "tradingbots.dev/user": alice.id,
      "tradingbots.dev/bot": id,
    });
    const read = await alice.call(`GET /api/bots/${id}`);
    expect(read.body).toEqual(created.body);
    expect(read.headers["etag"]).toBe(created.headers["etag"]);
    expect(await alice.call("GET /api/bots")).toMatchObject({
      body: { items: [{ id }], next: null },
    });
    const patched = await alice.call(`PATCH /api/bots/${id}`, {
      body: { risk: { leverage: 3 }, strategy: { params: { period: 9 } }, autoTrade: true },
    });
    expect(patched).toMatchObject({
      status: 200,
      body: {
        risk: { leverage: 3, balancePercent: 90 },
        strategy: { name: "rsi", params: { period: 9 } },
        autoTrade: true,
      },
    });
    const reset = await alice.call(`PATCH /api/bots/${id}`, {
      body: { risk: { leverage: null }, strategy: { params: { period: null } } },
    });
    expect(reset).toMatchObject({ body: { risk: { leverage: 10 }, strategy: { params: {} } } });
    for (const [action, state] of [
      ["start", "Running"],
      ["pause", "Paused"],
      ["stop", "Stopped"],
    ] as const) {
      expect(await alice.call(`POST /api/bots/${id}/${action}`)).toMatchObject({
        status: 202,
        body: { state },
      });
      expect((await botResource(alice, id))?.spec.state).toBe(state);
    }
    expect(await alice.call(`DELETE /api/bots/${id}`)).toMatchObject({
      status: 202,
      body: { state: "Retired" },
    });
    const again = await alice.call(`POST /api/bots/${id}/start`);
    expect(codeOf(again)).toEqual({ status: 422, code: "refused_by_rule" });
    expect(again.body).toMatchObject({
      detail: "a Retired bot cannot be used again: create another one",
    });

    // The operator removes the finalizer and the object; here nobody runs, so the test does.
    await api.cluster.admin.remove(BOTS, { namespace: await bucketOf(alice), name: id });
    expect((await alice.call(`GET /api/bots/${id}`)).status).toBe(404);
    expect((await alice.call("GET /api/bots")).body).toEqual({ items: [], next: null });
  });

  test("If-Match refuses what has changed, and the operator's status does not count", async () => {
    const created = await alice.call("POST /api/bots", { body: PAPER });
    const id = idOf(created);
    const etag = String(created.headers["etag"]);
    const key = { namespace: await bucketOf(alice), name: id };
    await api.cluster.admin.patch(BOTS, key, {
      type: "merge",
      subresource: "status",
      body: { status: { podName: id } },
    });
    const patch = (displayName: string, match: string) =>
      alice.call(`PATCH /api/bots/${id}`, {
        body: { displayName },
        headers: { "if-match": match },
      });
    expect((await patch("One", etag)).status).toBe(200);
    expect(codeOf(await patch("Two", etag))).toEqual({ status: 412, code: "changed_meanwhile" });
    expect((await patch("Three", "*")).status).toBe(200);
    await alice.call(`DELETE /api/bots/${id}`);
  });

  test("one of many patches at once with the same tag wins", async () => {
    const created = await alice.call("POST /api/bots", { body: PAPER });
    const id = idOf(created);
    const headers = { "if-match": String(created.headers["etag"]) };
    const answers = await Promise.all(
      Array.from({ length: 5 }, (_, index) =>
        alice.call(`PATCH /api/bots/${id}`, { body: { displayName: `Name ${index}` }, headers }),
      ),
    );
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
      200, 412, 412, 412, 412,
    ]);
    await alice.call(`DELETE /api/bots/${id}`);
  });

  test("the class's number of bots holds against requests at once; retired ones do not count", async () => {
    const dave = await signUp(api, "dave");
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => dave.call("POST /api/bots", { body: PAPER })),
    );
    const created = answers.filter(({ status }) => status === 201);
    expect(created).toHaveLength(3);
    const [refused] = answers.filter(({ status }) => status !== 201);
    expect(refused).toMatchObject({
      status: 422,
      body: { code: "bots_above_class", detail: "class free allows 3 bots" },
    });
    for (const bot of created) await dave.call(`DELETE /api/bots/${idOf(bot)}`);
    expect((await dave.call("POST /api/bots", { body: PAPER })).status).toBe(201);
  });

  test.for<[string, object, { status: number; code: string }]>([
    [
      "leverage above class",
      { risk: { leverage: 11 } },
      { status: 422, code: "leverage_above_class" },
    ],
    [
      "position above class",
      { risk: { positionPercent: 6 } },
      { status: 422, code: "position_percent_above_class" },
    ],
    ["unknown exchange", { exchange: "mtgox" }, { status: 422, code: "exchange_unsupported" }],
    [
      "an exchange that no bot can trade on",
      { exchange: "kraken" },
      { status: 422, code: "exchange_unsupported" },
    ],
    [
      "a symbol that no bot can trade",
      { symbols: ["BTC/USDT:USDT", "ETH/USDT"] },
      { status: 422, code: "symbol_unsupported" },
    ],
    [
      "unknown strategy",
      { strategy: { name: "martingale" } },
      { status: 422, code: "validation_failed" },
    ],
    [
      "unknown parameter",
      { strategy: { name: "rsi", params: { foo: 1 } } },
      { status: 422, code: "validation_failed" },
    ],
    [
      "buy above sell",
      { strategy: { name: "rsi", params: { buyBelow: 80 } } },
      { status: 422, code: "validation_failed" },
    ],
    ["unknown field", { colour: "red" }, { status: 422, code: "validation_failed" }],
    ["unknown risk", { risk: { yolo: true } }, { status: 422, code: "validation_failed" }],
    [
      "a symbol twice",
      { symbols: ["BTC/USDT", "BTC/USDT"] },
      { status: 422, code: "validation_failed" },
    ],
    ["testnet without account", { mode: "testnet" }, { status: 422, code: "validation_failed" }],
    [
      "account of nobody",
      { mode: "testnet", accountId: "acct-nobody" },
      { status: 404, code: "account_not_found" },
    ],
    [
      "stop beyond liquidation",
      { risk: { leverage: 10, stopLossPercent: 9 } },
      { status: 422, code: "refused_by_rule" },
    ],
    [
      "a line feed in the name",
      { displayName: "a\nb" },
      { status: 422, code: "validation_failed" },
    ],
  ])("refused, and nothing is created: %s", async ([, change, expected]) => {
    const before = (await bob.call("GET /api/bots")).body;
    const answer = await bob.call("POST /api/bots", { body: { ...PAPER, ...change } });
    expect(codeOf(answer)).toEqual(expected);
    expect((await bob.call("GET /api/bots")).body).toEqual(before);
  });

  test("a patch is held to the same limits; an unchanged value above a lowered ceiling passes", async () => {
    await setTier(bob, "pro");
    const bot = { ...PAPER, risk: { leverage: 40, stopLossPercent: 1 } };
    const id = idOf(await bob.call("POST /api/bots", { body: bot }));
    const key = { namespace: await bucketOf(bob), name: id };
    await api.cluster.admin.patch(BOTS, key, {
      type: "merge",
      body: { spec: { className: "free" } },
    });
    const patch = (body: object) => bob.call(`PATCH /api/bots/${id}`, { body });
    expect((await patch({ displayName: "Still fine" })).status).toBe(200);
    const raised = await patch({ risk: { leverage: 41 } });
    expect(raised.body).toMatchObject({
      code: "leverage_above_class",
      detail: "risk.leverage 41 is above the limit 10 of class free",
    });
    const state = await patch({ state: "Running" });
    expect(state.body).toMatchObject({ code: "validation_failed" });
    expect(JSON.stringify(state.body)).toContain("POST /api/bots/{id}/start");
    const spot = await patch({ symbols: ["ETH/USDT"] });
    expect(codeOf(spot)).toEqual({ status: 422, code: "symbol_unsupported" });
    const misspelt = await patch({ symbols: ["ethusdt"] });
    expect(misspelt.body).toMatchObject({
      detail: "symbols.0: must be written like ETH/USDT:USDT",
    });
    expect(codeOf(await patch({ strategy: { params: { period: 1 } } })).code).toBe(
      "validation_failed",
    );
    expect(codeOf(await patch({ risk: { leverage: 10, stopLossPercent: 9 } })).code).toBe(
      "refused_by_rule",
    );
    await bob.call(`DELETE /api/bots/${id}`);
    await setTier(bob, "free");
  });

  test("an account is set once, while Stopped, together with its mode", async () => {
    const accountId = idOf(await bob.call("POST /api/accounts", { body: ACCOUNT }));
    const id = idOf(await bob.call("POST /api/bots", { body: PAPER }));
    const patch = (body: object) => bob.call(`PATCH /api/bots/${id}`, { body });
    expect(codeOf(await patch({ accountId, mode: "live" })).code).toBe("mode_mismatch");
    expect(await patch({ accountId, mode: "testnet" })).toMatchObject({
      status: 200,
      body: { accountId, mode: "testnet" },
    });
    const other = idOf(await bob.call("POST /api/accounts", { body: ACCOUNT }));
    expect(codeOf(await patch({ accountId: other })).code).toBe("refused_by_rule");
    await bob.call(`DELETE /api/accounts/${other}`);
    await bob.call(`DELETE /api/accounts/${accountId}`);
    expect((await botResource(bob, id))?.spec.state).toBe("Retired");
  });

  test("an Idempotency-Key creates once, and is refused for another request", async () => {
    const erin = await signUp(api, "erin");
    const post = (body: object) =>
      erin.call("POST /api/bots", { body, headers: { "idempotency-key": "key-1" } });
    const answers = await Promise.all([post(PAPER), post(PAPER), post(PAPER)]);
    for (const answer of answers.filter(({ status }) => status !== 201)) {
      expect(codeOf(answer)).toEqual({ status: 409, code: "idempotency_in_progress" });
    }
    const replayed = await post(PAPER);
    const created = answers.find(({ status }) => status === 201);
    expect(replayed).toMatchObject({ status: 201, body: created?.body });
    expect(replayed.headers["etag"]).toBe(created?.headers["etag"]);
    const other = await post({ ...PAPER, displayName: "Other" });
    expect(codeOf(other)).toEqual({ status: 422, code: "idempotency_key_reused" });
    const { items } = z
      .object({ items: z.array(WithId) })
      .parse((await erin.call("GET /api/bots")).body);
    expect(items).toHaveLength(1);
    const later =
      "update idempotency_keys set created_at = created_at - $2::interval where user_id = $1";
    await api.database.superuser.query(later, [erin.id, "23 hours 50 minutes"]);
    expect((await post(PAPER)).body).toEqual(created?.body);
    await api.database.superuser.query(later, [erin.id, "10 minutes"]);
    expect((await post({ ...PAPER, displayName: "Other" })).status).toBe(201);
    expect(
      (await alice.call("POST /api/bots", { body: PAPER, headers: { "idempotency-key": "key-1" } }))
        .status,
    ).toBe(201);
  });

  test("pages follow each other without gap or repetition", async () => {
    const frank = await signUp(api, "frank");
    for (let count = 0; count < 3; count++) await frank.call("POST /api/bots", { body: PAPER });
    const Page = z.object({ items: z.array(WithId), next: z.string().nullable() });
    const ids: string[] = [];
    let cursor: string | null = "";
    while (cursor !== null) {
      const query: string = cursor === "" ? "" : `&cursor=${cursor}`;
      const page: z.infer<typeof Page> = Page.parse(
        (await frank.call(`GET /api/bots?limit=2${query}`)).body,
      );
      ids.push(...page.items.map(({ id }) => id));
      cursor = page.next;
    }
    expect(new Set(ids).size).toBe(3);
    expect(ids).toHaveLength(3);
    expect(codeOf(await frank.call("GET /api/bots?cursor=nonsense")).code).toBe(
      "validation_failed",
    );
    expect(codeOf(await frank.call("GET /api/bots?limit=201")).code).toBe("validation_failed");
  });
});

describe("a repeated creation", () => {
  const KINDS = [
    ["bots", PAPER],
    ["accounts", ACCOUNT],
  ] as const;

  let users = 0;
  async function newcomer(path: "bots" | "accounts", body: object) {
    const user = await signUp(api, `repeater-${++users}`);
    const namespace = await bucketOf(user);
    const selection = { namespace, labelSelector: `tradingbots.dev/user=${user.id}` };
    return {
      call: user.call,
      post: (change: object = {}) =>
        user.call(`POST /api/${path}`, {
          body: { ...body, ...change },
          headers: { "idempotency-key": "again" },
        }),
      /** Names of what the cluster has. */
      objects: async () =>
        path === "bots"
          ? (await api.cluster.admin.list(BOTS, selection)).map(({ metadata }) => metadata.name)
          : (await api.cluster.admin.list(ACCOUNTS, selection)).map(
              ({ metadata }) => metadata.name,
            ),
      /** Ids of the rows that are not gone, and of all. */
      rows: async () => {
        const { rows } = await api.database.superuser.query<{ id: string; gone: boolean }>(
          `select id, gone_at is not null as gone from ${path} where user_id = $1`,
          [user.id],
        );
        return { live: rows.filter(({ gone }) => !gone).map(({ id }) => id), all: rows.length };
      },
      update: (set: string) =>
        api.database.superuser.query(`update ${set} where user_id = $1`, [user.id]),
      path: (id: string) => credentialsPath(namespace, id),
    };
  }

  const FAULTS = ["request lost", "answer lost"] as const;
  const CASES = KINDS.flatMap(([path, body]) =>
    FAULTS.map((fault) => [path, fault, body] as const),
  );

  test.for(CASES)("creates nothing twice: %s, %s", async ([path, fault, body]) => {
    const { post, objects, rows } = await newcomer(path, body);
    expect(codeOf(await during(fault, post)).code).toBe("cluster_unavailable");
    const created = await post();
    expect(created.status).toBe(201);
    expect(await objects()).toEqual([idOf(created)]);
    expect(await rows()).toEqual({ live: [idOf(created)], all: 1 });
    expect((await post()).body).toEqual(created.body);
    const other = await post({ [path === "bots" ? "displayName" : "name"]: "Other" });
    expect(codeOf(other)).toEqual({ status: 422, code: "idempotency_key_reused" });
  });

  test.for(KINDS)("finds %s whose answer was not kept", async ([path, body]) => {
    const { post, objects, update } = await newcomer(path, body);
    const created = await post();
    await update("idempotency_keys set response = null");
    expect(codeOf(await post())).toEqual({ status: 409, code: "idempotency_in_progress" });
    await update("idempotency_keys set claimed_at = now() - interval '3 minutes'"); // its process died
    expect(await post()).toMatchObject({ status: 201, body: created.body });
    expect(await objects()).toEqual([idOf(created)]);
  });

  test.for(KINDS)("begins %s anew that never came and were given up", async ([path, body]) => {
    const { call, post, objects, rows, update } = await newcomer(path, body);
    await during("request lost", post);
    const [id = ""] = (await rows()).live;
    expect((await call(`GET /api/${path}/${id}`)).status).toBe(404);
    expect(await rows()).toEqual({ live: [id], all: 1 }); // it may be on its way
    await update(`${path} set created_at = now() - interval '11 minutes'`);
    expect((await call(`GET /api/${path}/${id}`)).status).toBe(404);
    // An account may have left its key: that is the sweep's to end.
    expect(await rows()).toEqual({ live: path === "accounts" ? [id] : [], all: 1 });
    await update("idempotency_keys set claimed_at = null");
    expect(idOf(await post())).toBe(id);
    expect(await objects()).toEqual([id]);
    expect((await call(`GET /api/${path}/${id}`)).status).toBe(200);
    expect(await rows()).toEqual({ live: [id], all: 1 });
  });

  test.for(KINDS)("does not bring %s back that were retired", async ([path, body]) => {
    const { call, post, objects, update } = await newcomer(path, body);
    const id = idOf(await post());
    expect((await call(`DELETE /api/${path}/${id}`)).status).toBe(202);
    await update("idempotency_keys set response = null, claimed_at = null");
    expect(codeOf(await post())).toEqual({ status: 404, code: "not_found" });
    expect(await objects()).toEqual([id]);
  });

  test("counts once against the class", async () => {
    const { call, post } = await newcomer("bots", PAPER);
    await during("answer lost", post);
    for (let count = 0; count < 2; count++) await call("POST /api/bots", { body: PAPER });
    expect((await call("POST /api/bots", { body: PAPER })).status).toBe(422); // three exist
    expect((await post()).status).toBe(201);
  });

  test("leaves a newer key of the account alone", async () => {
    const { call, post, objects, path } = await newcomer("accounts", ACCOUNT);
    await during("answer lost", post);
    const [id = ""] = await objects();
    const newer = { apiKey: "newer-key-000", apiSecret: "newer-secret-000" };
    await call(`PUT /api/accounts/${id}/credentials`, { body: newer });
    expect(await post()).toMatchObject({ status: 201, body: { id, credentialsVersion: 2 } });
    expect(api.credentials.peek(path(id))).toEqual(newer);
  });

  test("puts the key of an account where it was put before the cluster failed", async () => {
    const { post, rows, path } = await newcomer("accounts", ACCOUNT);
    await during("request lost", post);
    const [id = ""] = (await rows()).live;
    expect(api.credentials.peek(path(id))).toEqual(KEY);
    expect(await post()).toMatchObject({ status: 201, body: { id, credentialsVersion: 2 } });
    expect(api.credentials.peek(path(id))).toEqual(KEY);
  });

  test("answers without Vault what is there already", async () => {
    const { post, objects } = await newcomer("accounts", ACCOUNT);
    await during("answer lost", post);
    const [id = ""] = await objects();
    api.credentials.setDown(true);
    expect(await post()).toMatchObject({ status: 201, body: { id } });
    api.credentials.setDown(false);
  });

  test("after Vault's failure uses the same account", async () => {
    const { post, rows } = await newcomer("accounts", ACCOUNT);
    api.credentials.setDown(true);
    expect(codeOf(await post()).code).toBe("vault_unavailable");
    api.credentials.setDown(false);
    const id = idOf(await post());
    expect(await rows()).toEqual({ live: [id], all: 1 });
  });
});

describe("two users", () => {
  test("neither reads, lists, changes nor uses what is the other's", async () => {
    const accountId = idOf(await alice.call("POST /api/accounts", { body: ACCOUNT }));
    const botId = idOf(
      await alice.call("POST /api/bots", {
        body: { ...PAPER, exchange: undefined, mode: "testnet", accountId },
      }),
    );
    const before = await botResource(alice, botId);
    for (const request of [
      `GET /api/bots/${botId}`,
      `PATCH /api/bots/${botId}`,
      `DELETE /api/bots/${botId}`,
      `POST /api/bots/${botId}/start`,
      `POST /api/bots/${botId}/pause`,
      `POST /api/bots/${botId}/stop`,
      `GET /api/accounts/${accountId}`,
      `PUT /api/accounts/${accountId}/credentials`,
      `DELETE /api/accounts/${accountId}`,
    ] as const) {
      const body = request.startsWith("PUT") ? KEY : request.startsWith("PATCH") ? {} : undefined;
      const answer = await bob.call(request, body === undefined ? {} : { body });
      expect({ request, ...codeOf(answer) }).toEqual({ request, status: 404, code: "not_found" });
    }
    const used = await bob.call("POST /api/bots", {
      body: { ...PAPER, exchange: undefined, mode: "testnet", accountId },
    });
    expect(codeOf(used)).toEqual({ status: 404, code: "account_not_found" });
    for (const list of [
      "GET /api/bots",
      "GET /api/accounts",
      `GET /api/trades?botId=${botId}`,
    ] as const) {
      expect(JSON.stringify((await bob.call(list)).body)).not.toContain(botId);
    }
    expect(await botResource(alice, botId)).toEqual(before);
    await alice.call(`DELETE /api/accounts/${accountId}`);
  });
});

describe("bad input", () => {
  test("a body of 10 MB is refused before it is read", async () => {
    const answer = await alice.call("POST /api/bots", {
      body: { ...PAPER, displayName: "x".repeat(10_000_000) },
    });
    expect(codeOf(answer)).toEqual({ status: 413, code: "body_too_large" });
  });

  test.for<[string, string, string, { status: number; code: string }]>([
    ["not JSON", "application/json", "{", { status: 400, code: "malformed_json" }],
    [
      "a prototype",
      "application/json",
      '{"__proto__":{}}',
      { status: 422, code: "validation_failed" },
    ],
    ["XML", "text/xml", "<bot/>", { status: 415, code: "unsupported_media_type" }],
    ["nothing", "application/json", "", { status: 422, code: "validation_failed" }],
    ["a list", "application/json", "[]", { status: 422, code: "validation_failed" }],
  ])("refused: %s", async ([, type, payload, expected]) => {
    const answer = await api.app.inject({
      method: "POST",
      url: "/api/bots",
      headers: { authorization: `Bearer ${alice.accessToken}`, "content-type": type },
      payload,
    });
    expect({
      status: answer.statusCode,
      code: z.object({ code: z.string() }).parse(answer.json()).code,
    }).toEqual(expected);
    expect(answer.headers["content-type"]).toContain("application/problem+json");
  });

  test("a parameter as deep as a body can be is refused, and the bot stays as it is", async () => {
    const id = idOf(await alice.call("POST /api/bots", { body: PAPER }));
    const before = await alice.call(`GET /api/bots/${id}`);
    for (const [open, close] of [
      ['{"a":', "}"],
      ["[", "]"],
    ] as const) {
      const deep = `${open.repeat(100_000)}1${close.repeat(100_000)}`;
      const answer = await api.app.inject({
        method: "PATCH",
        url: `/api/bots/${id}`,
        headers: {
          authorization: `Bearer ${alice.accessToken}`,
          "content-type": "application/merge-patch+json",
        },
        payload: `{"strategy":{"params":{"period":${deep}}}}`,
      });
      expect({ status: answer.statusCode, body: answer.json<unknown>() }).toMatchObject({
        status: 422,
        body: {
          code: "validation_failed",
          detail:
            "strategy.params.period: must be a text of up to 200 characters, a number, true, false or null",
        },
      });
    }
    expect((await alice.call(`GET /api/bots/${id}`)).body).toEqual(before.body);
    await alice.call(`DELETE /api/bots/${id}`);
  });

  test("SQL in names stays text", async () => {
    const displayName = `Robert'); drop table bots; --`;
    const answer = await alice.call("POST /api/bots", { body: { ...PAPER, displayName } });
    expect(answer).toMatchObject({ status: 201, body: { displayName } });
    await alice.call(`DELETE /api/bots/${idOf(answer)}`);
  });

  test("odd ids and filters are refused or not found, never an error of ours", async () => {
    for (const path of ["%00", "..%2f..%2fsecrets", "'; drop table bots; --", "x".repeat(100)]) {
      const answer = await alice.call(`GET /api/bots/${encodeURIComponent(path)}`);
      expect(codeOf(answer)).toEqual({ status: 404, code: "not_found" });
    }
    for (const query of [
      "botId=%00",
      "from=yesterday",
      "symbol='--",
      "cursor=WzEsMl0",
      "limit=0",
      "x=1",
    ]) {
      const answer = await alice.call(`GET /api/trades?${query}`);
      expect(codeOf(answer)).toEqual({ status: 422, code: "validation_failed" });
    }
    expect((await alice.call("GET /api/trades?from=0001-01-01T00:00:00Z")).status).toBe(200);
  });
});

describe("the old robot", () => {
  const DEFAULTS = {
    symbol: "BTC/USDT:USDT",
    leverage: 10,
    balance_percent: 90,
    tp_percent: 2,
    sl_percent: 1,
    min_confidence: 60,
    auto_trade: false,
  };

  test("its life from the first configuration to positions and trades", async () => {
    const grace = await signUp(api, "grace");
    expect(await grace.call("GET /api/robot/config")).toMatchObject({
      status: 200,
      body: DEFAULTS,
    });
    const put = (body: object) => grace.call("PUT /api/robot/config", { body });
    expect(codeOf(await put({}))).toEqual({ status: 409, code: "account_required" });
    expect(codeOf(await grace.call("GET /api/robot/balance")).code).toBe("account_required");
    expect(codeOf(await grace.call("POST /api/robot/start")).code).toBe("config_required");

    const accountId = idOf(await grace.call("POST /api/accounts", { body: ACCOUNT }));
    expect(codeOf(await grace.call("GET /api/robot/balance"))).toEqual({
      status: 503,
      code: "balance_pending",
    });
    expect(await put({ symbol: "ETH/USDT:USDT", leverage: 5, auto_trade: true })).toMatchObject({
      status: 200,
      body: { ...DEFAULTS, symbol: "ETH/USDT:USDT", leverage: 5, auto_trade: true },
    });
    const { items } = z
      .object({ items: z.array(z.looseObject({ id: z.string() })) })
      .parse((await grace.call("GET /api/bots")).body);
    const [bot] = items;
    expect(bot).toMatchObject({ accountId, mode: "testnet", state: "Stopped" });
    expect(await put({ leverage: 4 })).toMatchObject({ body: { ...DEFAULTS, leverage: 4 } });
    expect(codeOf(await put({ leverage: 11 })).code).toBe("leverage_above_class");
    expect(await grace.call("POST /api/robot/start")).toMatchObject({
      status: 202,
      body: { state: "Running" },
    });

    await reportOf(grace, String(bot?.id));
    expect((await grace.call("GET /api/robot/balance")).body).toEqual({
      balance: "1000.10",
      available: "900.5",
      currency: "USDT",
      as_of: "2026-01-02T00:00:00.000Z",
    });
    expect((await grace.call("GET /api/robot/positions")).body).toEqual([
      {
        symbol: "ETH/USDT:USDT",
        side: "long",
        quantity: "0.5",
        entry_price: "2000",
        unrealised_pnl: "1.5",
        stop_loss: "1980",
        take_profit: null,
        as_of: "2026-01-02T00:00:00.000Z",
      },
    ]);
    expect((await grace.call("GET /api/robot/trades")).body).toMatchObject({
      items: [{ entry_price: "2000.10", exit_price: null, closed_at: null }],
      next: null,
    });
    expect((await grace.call("GET /api/trades")).body).toMatchObject({
      items: [{ botId: bot?.id, entryPrice: "2000.10", exitPrice: null, pnl: null }],
    });
    expect(await grace.call("POST /api/robot/stop")).toMatchObject({ body: { state: "Stopped" } });

    await grace.call(`DELETE /api/bots/${String(bot?.id)}`);
    await grace.call("POST /api/accounts", { body: ACCOUNT });
    expect(codeOf(await put({}))).toEqual({ status: 409, code: "account_ambiguous" });
  });
});

async function reportOf(user: TestUser, botId: string): Promise<void> {
  const report = {
    generation: 1,
    state: "Running",
    flat: false,
    protected: true,
    trading: true,
    blocked: [],
    dayResult: null,
    lastTradeAt: null,
    halts: [],
    asOf: "2026-01-02T00:00:00.000Z",
    balance: { equity: "1000.10", available: "900.5", currency: "USDT" },
    positions: [
      {
        symbol: "ETH/USDT:USDT",
        side: "long",
        quantity: "0.5",
        entryPrice: "2000",
        unrealisedPnl: "1.5",
        stopLoss: "1980",
        takeProfit: null,
      },
    ],
  };
  await api.database.superuser.query(
    `insert into reports (user_id, bot_id, namespace, epoch, sequence, pod_uid, report)
       values ($1, $2, 'n', 1, 1, 'p', $3)`,
    [user.id, botId, JSON.stringify(report)],
  );
  await api.database.superuser.query(
    `insert into trades (user_id, bot_id, id, epoch, sequence, symbol, side, quantity, entry_price,
                           fees, opened_at)
       values ($1, $2, gen_random_uuid(), 1, 1, 'ETH/USDT:USDT', 'long', 0.5, 2000.10, 0.1, now())`,
    [user.id, botId],
  );
}

describe("the server", () => {
  test("health, readiness and the description need no token", async () => {
    const call = caller(api);
    expect((await call("GET /healthz")).status).toBe(200);
    expect((await call("GET /readyz")).body).toEqual({
      ready: true,
      checks: {
        database: "ok",
        authDatabase: "ok",
        kubernetes: "ok",
        logins: "ok",
        vault: "ok",
        passwords: "ok",
      },
    });
    api.credentials.setDown(true);
    await expect
      .poll(() => call("GET /readyz"))
      .toMatchObject({
        status: 200,
        body: { checks: { vault: "failing" } },
      });
    api.credentials.setDown(false);
    expect((await call("GET /api/openapi.json")).body).toMatchObject({ openapi: "3.1.0" });
    expect(codeOf(await call("GET /api/nothing"))).toEqual({ status: 404, code: "not_found" });
  });

  test("every path of the description but health and those of who has no token yet wants one", async () => {
    const { paths } = z
      .object({ paths: z.record(z.string(), z.record(z.string(), z.unknown())) })
      .parse((await caller(api)("GET /api/openapi.json")).body);
    const open: string[] = [];
    for (const [path, methods] of Object.entries(paths)) {
      for (const method of Object.keys(methods)) {
        const answer = await api.app.inject({
          method: z.enum(["GET", "POST", "PUT", "PATCH", "DELETE"]).parse(method.toUpperCase()),
          url: path.replaceAll(/\{\w+\}/g, "00000000-0000-4000-8000-000000000000"),
        });
        if (answer.statusCode !== 401) open.push(path);
      }
    }
    expect(open.toSorted((a, b) => a.localeCompare(b))).toEqual([
      "/.well-known/jwks.json",
      "/api/auth/forgot",
      "/api/auth/login",
      "/api/auth/passkey-challenge",
      "/api/auth/passkey-login",
      "/api/auth/register",
      "/api/auth/reset",
      "/api/auth/verify-email",
      "/healthz",
      "/readyz",
    ]);
  });

  test("nothing unforeseen happened above", () => {
    const failures = api.logs.filter((line) => line.includes('"code":"internal_error"'));
    expect(failures).toEqual([]);
  });
});
