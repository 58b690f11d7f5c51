import { type BotRequest, type RequestStatus, TradingBot } from "@tradingbots/crds";
import { customResource } from "@tradingbots/kube";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { type Answer, caller, signUp, startApi, type TestApi, type TestUser } from "./api.ts";

// What people want done once: how it comes into the bot's custom resource, and what they hear of it.

const BOTS = customResource(TradingBot);
const SYMBOL = "BTC/USDT:USDT";
const PAPER = {
  displayName: "Paper",
  exchange: "bybit",
  mode: "paper",
  symbols: [SYMBOL],
  strategy: { name: "rsi", params: {} },
  state: "Running",
};

let api: TestApi;
let user: TestUser;
let namespace: string;
let botId: string;

beforeAll(async () => {
  api = await startApi();
  user = await signUp(api, "trader");
  await api.database.superuser.query("update users set tier = 'pro' where id = $1", [user.id]);
  const { rows } = await api.database.superuser.query<{ namespace: string }>(
    "select namespace from users where id = $1",
    [user.id],
  );
  namespace = rows[0]?.namespace ?? "";
});
afterAll(() => api.stop());

beforeEach(async () => {
  const { body } = await user.call("POST /api/bots", { body: PAPER });
  botId = z.object({ id: z.string() }).parse(body).id;
  await hasPod(botId);
});

const RequestBody = z.object({ id: z.string(), notAfter: z.string().nullable() });
const codeOf = ({ status, body }: Answer) =>
  `${status} ${z.object({ code: z.string().default("ok") }).parse(body).code}`;

const keyOf = (name: string) => ({ namespace, name });

function hasPod(name: string) {
  const body = { status: { podName: name } };
  return api.cluster.admin.patch(BOTS, keyOf(name), { type: "merge", subresource: "status", body });
}

async function specOf(name: string) {
  return TradingBot.schema.parse(await api.cluster.admin.get(BOTS, keyOf(name))).spec;
}

async function standing(): Promise<readonly BotRequest[]> {
  return (await specOf(botId)).requests ?? [];
}

/** What the bot says of a request. */
async function tell(id: string, status: RequestStatus, reason: string | null = null) {
  await api.database.superuser.query(
    `insert into request_results (user_id, bot_id, id, action, symbol, status, reason, message, at)
     values ($1, $2, $3, 'ClosePosition', $4, $5, $6, 'said the bot', '2026-01-01T00:00:01Z')`,
    [user.id, botId, id, SYMBOL, status, reason],
  );
}

const close = (more: { key?: string; symbol?: string } = {}) =>
  user.call(`POST /api/bots/${botId}/positions/close`, {
    body: { symbol: more.symbol ?? SYMBOL },
    ...(more.key === undefined ? {} : { headers: { "idempotency-key": more.key } }),
  });
const order = (side = "long") =>
  user.call(`POST /api/bots/${botId}/orders`, { body: { symbol: SYMBOL, side } });
const cancel = () =>
  user.call(`POST /api/bots/${botId}/orders/cancel`, { body: { symbol: SYMBOL } });

test.each<[string, () => Promise<Answer>, object]>([
  ["a closing", close, { action: "ClosePosition", side: null }],
  ["a cancellation", cancel, { action: "CancelOrders", side: null }],
  ["an order", () => order("short"), { action: "Order", side: "short" }],
])(
  "%s goes into the bot's custom resource, for a minute, and says where its answer will be",
  async (...[, asked, what]) => {
    const before = Date.now();
    const answer = await asked();
    expect(answer).toMatchObject({ status: 202, body: { botId, symbol: SYMBOL, ...what } });
    const { id, notAfter } = RequestBody.parse(answer.body);
    const path = `/api/bots/${botId}/requests/${id}` as const;
    expect(answer.headers["location"]).toBe(path);
    const [request, ...others] = await standing();
    expect({ side: null, ...request }).toMatchObject({ id, notAfter, symbol: SYMBOL, ...what });
    expect(others).toEqual([]);
    const validMs = Date.parse(notAfter ?? "") - before;
    expect(validMs).toBeGreaterThanOrEqual(60_000);
    expect(validMs).toBeLessThan(70_000);
    expect((await user.call(`GET ${path}`)).body).toMatchObject({
      id,
      status: "waiting",
      at: null,
    });
    await tell(id, "refused", "Halted");
    expect((await user.call(`GET ${path}`)).body).toMatchObject({
      id,
      status: "refused",
      reason: "Halted",
      message: "said the bot",
      notAfter,
      at: "2026-01-01T00:00:01.000Z",
    });
  },
);

test("under one key one request is asked for, whoever lost an answer", async () => {
  const answers = [await close({ key: "k" }), await close({ key: "k" })];
  const ids = answers.map(({ body }) => RequestBody.parse(body).id);
  expect(new Set(ids).size).toBe(1);
  expect(await standing()).toHaveLength(1);
  expect(codeOf(await close({ key: "k", symbol: "ETH/USDT:USDT" }))).toBe(
    "422 idempotency_key_reused",
  );
});

test("four wait at most; what is answered or past makes room, and what others wrote stays", async () => {
  const past = {
    id: "c0ffee00-1111-4222-8333-444455556666",
    action: "CancelOrders",
    symbol: SYMBOL,
    notAfter: "2020-01-01T00:00:00Z",
  } as const;
  const ofSre = { ...past, id: past.id.replace("c0", "d0"), notAfter: "2099-01-01T00:00:00Z" };
  await api.cluster.admin.patch(BOTS, keyOf(botId), {
    type: "merge",
    body: { spec: { requests: [past, ofSre] } },
  });
  const ids = [];
  for (let times = 0; times < 3; times += 1) ids.push(RequestBody.parse((await close()).body).id);
  expect((await standing()).map(({ id }) => id)).toEqual([ofSre.id, ...ids]);
  const full = await order();
  expect(codeOf(full)).toBe("409 requests_pending");
  expect(full.headers["retry-after"]).toBe("60");
  await tell(ids[0] ?? "", "begun");
  await tell(ids[1] ?? "", "done");
  expect((await close()).status).toBe(202);
  const left = (await standing()).map(({ id }) => id);
  expect(left.slice(0, 3)).toEqual([ofSre.id, ids[0], ids[2]]);
});

test.each<[string, string, string]>([
  ["Paused", "202 ok", "409 bot_not_running"],
  ["Stopped", "202 ok", "409 bot_not_running"],
])(
  "a %s bot with a pod closes and opens nothing; without a pod it does nothing",
  async (state, closing, ordering) => {
    await api.cluster.admin.patch(BOTS, keyOf(botId), { type: "merge", body: { spec: { state } } });
    expect(codeOf(await close())).toBe(closing);
    expect(codeOf(await order())).toBe(ordering);
    await api.cluster.admin.patch(BOTS, keyOf(botId), {
      type: "merge",
      subresource: "status",
      body: { status: { podName: null } },
    });
    expect(codeOf(await close())).toBe("409 bot_idle");
    expect(codeOf(await order())).toBe("409 bot_not_running");
    expect(await standing()).toHaveLength(1);
  },
);

test("a symbol that the bot has nothing to do with is refused; one that left its settings can be closed", async () => {
  const left = { symbol: "ETH/USDT:USDT" };
  expect(codeOf(await close(left))).toBe("422 validation_failed");
  await api.database.superuser.query(
    `insert into reports (user_id, bot_id, namespace, epoch, sequence, pod_uid, report)
     values ($1, $2, $3, 1, 1, 'p', '{"openSymbols": ["ETH/USDT:USDT"]}')`,
    [user.id, botId, namespace],
  );
  expect(codeOf(await close(left))).toBe("202 ok");
  const answer = await user.call(`POST /api/bots/${botId}/orders`, {
    body: { ...left, side: "long" },
  });
  expect(codeOf(answer)).toBe("422 validation_failed");
});

test("nobody else asks, reads or learns that there is a bot; a token needs the scope trade", async () => {
  const stranger = await signUp(api, "stranger");
  const { id } = RequestBody.parse((await close()).body);
  const path = `/api/bots/${botId}` as const;
  const body = { symbol: SYMBOL };
  expect(codeOf(await stranger.call(`POST ${path}/positions/close`, { body }))).toBe(
    "404 not_found",
  );
  expect(codeOf(await stranger.call(`GET ${path}/requests/${id}`))).toBe("404 not_found");
  const unknown = id.replace(/^../, "zz".replace(/z/g, "0"));
  expect(codeOf(await user.call(`GET ${path}/requests/${unknown}`))).toBe("404 not_found");
  const made = await user.call("POST /api/tokens", { body: { name: "Reader", scopes: ["read"] } });
  const reader = caller(api, z.object({ token: z.string() }).parse(made.body).token);
  expect(codeOf(await reader(`POST ${path}/positions/close`, { body }))).toBe("403 scope_missing");
  expect((await reader(`GET ${path}/requests/${id}`)).status).toBe(200);
  const { rows } = await api.database.superuser.query<{ action: string }>(
    "select distinct action from audit where actor_id = $1 and action like '%positions/close%'",
    [user.id],
  );
  expect(rows).toHaveLength(1);
});
