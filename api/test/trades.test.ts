import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { createClient } from "../src/client/client.ts";
import { signUp, startApi, type TestApi, type TestUser } from "./api.ts";

let api: TestApi;
let ann: TestUser;
let ben: TestUser;

interface Closed {
  readonly pnl: string | null;
  readonly closedAt: string | null;
  readonly symbol?: string;
}

async function insertTrades(user: TestUser, botId: string, trades: readonly Closed[]) {
  const { superuser } = api.database;
  await superuser.query(
    "insert into bots (user_id, id, namespace) values ($1, $2, 'tradingbots-00')",
    [user.id, botId],
  );
  for (const [sequence, { pnl, closedAt, symbol = "ETH/USDT:USDT" }] of trades.entries()) {
    await superuser.query(
      `insert into trades (user_id, bot_id, id, epoch, sequence, symbol, side, quantity, entry_price,
                           exit_price, pnl, fees, funding, opened_at, closed_at, reason)
       values ($1, $2, gen_random_uuid(), 1, $3, $4, 'long', 1, 100, 101, $5, 0.1, -0.01,
               coalesce($6::timestamptz, '2026-01-09T00:00:00Z') - interval '1 hour', $6, 'target')`,
      [user.id, botId, sequence, symbol, pnl, closedAt],
    );
  }
}

beforeAll(async () => {
  api = await startApi();
  [ann, ben] = await Promise.all([signUp(api, "ann"), signUp(api, "ben")]);
  await insertTrades(ann, "bot-ann", [
    { pnl: "10.5", closedAt: "2026-01-01T12:00:00Z" },
    { pnl: "-4.25", closedAt: "2026-01-01T23:59:59.999Z", symbol: "BTC/USDT:USDT" },
    { pnl: "-3", closedAt: "2026-01-03T00:00:00Z" },
    { pnl: "0.000000000000000001", closedAt: "2026-01-03T01:00:00Z" },
    { pnl: "99", closedAt: "2026-01-31T00:00:00Z" },
    { pnl: null, closedAt: null },
  ]);
  await insertTrades(ben, "bot-ben", [{ pnl: "1000", closedAt: "2026-01-02T00:00:00Z" }]);
});
afterAll(() => api.stop());

const Page = z.object({
  items: z.array(z.object({ openedAt: z.string() })),
  next: z.string().nullable(),
});

const csvOf = async (user: TestUser, query = "") =>
  api.app.inject({
    url: `/api/trades.csv${query}`,
    headers: { authorization: `Bearer ${user.accessToken}` },
  });

/** Days 6.25, 0, −3: mean 13/12, sample variance (5.1667² + 1.0833² + 4.0833²) ÷ 2. */
const SHARPE: unknown = expect.closeTo((13 / 12 / Math.sqrt(22.270833)) * Math.sqrt(365), 5);
const RANGE = "from=2026-01-01T00:00:00Z&to=2026-01-31T00:00:00Z";

test("closed trades of the range add up exactly, and nobody else's count", async () => {
  const { status, body } = await ann.call(`GET /api/trades/statistics?${RANGE}`);
  expect(status).toBe(200);
  expect(body).toEqual({
    from: "2026-01-01T00:00:00.000Z",
    to: "2026-01-31T00:00:00.000Z",
    trades: 4,
    won: 2,
    winRate: 0.5,
    pnl: "3.250000000000000001",
    fees: "0.4",
    funding: "-0.04",
    profitFactor: 10.5 / 7.25,
    maxDrawdown: "7.25",
    sharpe: SHARPE,
    bySymbol: [
      { symbol: "BTC/USDT:USDT", trades: 1, won: 0, pnl: "-4.25" },
      { symbol: "ETH/USDT:USDT", trades: 3, won: 2, pnl: "7.500000000000000001" },
    ],
    byDay: [
      { day: "2026-01-01", trades: 2, won: 1, pnl: "6.25" },
      { day: "2026-01-03", trades: 2, won: 1, pnl: "-2.999999999999999999" },
    ],
  });
});

test("a loss at once is a drawdown from zero; nothing is nothing", async () => {
  const first = await ann.call(
    "GET /api/trades/statistics?symbol=BTC/USDT:USDT&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z",
  );
  expect(first.body).toMatchObject({ maxDrawdown: "4.25", winRate: 0, profitFactor: 0 });
  const none = await ben.call(`GET /api/trades/statistics?symbol=X/USDT:USDT&${RANGE}`);
  expect(none.body).toMatchObject({
    trades: 0,
    pnl: "0",
    winRate: null,
    profitFactor: null,
    maxDrawdown: "0",
    sharpe: null,
    bySymbol: [],
    byDay: [],
  });
});

test.each([
  ["too long", "from=2024-01-01T00:00:00Z&to=2026-01-31T00:00:00Z"],
  ["backwards", "from=2026-01-31T00:00:00Z&to=2026-01-01T00:00:00Z"],
  ["no time", "from=yesterday"],
])("refused: a range that is %s", async (_name, query) => {
  const answer = await ann.call(`GET /api/trades/statistics?${query}`);
  expect(answer).toMatchObject({ status: 422, body: { code: "validation_failed" } });
});

test("a CSV file holds every trade of its user, over as many pages as it takes", async () => {
  await insertTrades(
    ben,
    "bot-many",
    Array.from({ length: 1_200 }, () => ({ pnl: "1", closedAt: "2025-06-01T00:00:00Z" })),
  );
  const answer = await csvOf(ben);
  expect(answer.headers).toMatchObject({
    "content-type": "text/csv; charset=utf-8",
    "content-disposition": 'attachment; filename="trades.csv"',
  });
  const lines = answer.body.split("\r\n");
  expect(lines[0]).toBe(
    "id,bot,symbol,side,quantity,entry_price,exit_price,pnl,fees,funding,opened_at,closed_at,reason",
  );
  expect(lines[1]).toContain(
    ",bot-ben,ETH/USDT:USDT,long,1,100,101,1000,0.1,-0.01,2026-01-01T23:00:00.000Z,2026-01-02T00:00:00.000Z,target",
  );
  expect(new Set(lines.slice(1, -1)).size).toBe(1_201);
  expect(answer.body).not.toContain("bot-ann");

  const open = (
    await csvOf(ann, "?botId=bot-ann&from=2026-01-08T00:00:00Z&to=2026-01-10T00:00:00Z")
  ).body;
  expect(open.split("\r\n")[1]).toContain(",,0.1,-0.01,2026-01-08T23:00:00.000Z,,target");
  const refused = await csvOf(ann, "?limit=5");
  expect(z.object({ code: z.string() }).parse(refused.json()).code).toBe("validation_failed");
});

test("the equity curve has the last word of each step, of this bot and owner alone", async () => {
  const rows = [
    ["2026-02-01T00:10:00Z", "1000.10"],
    ["2026-02-01T00:50:00Z", "1001.000000000000000001"],
    ["2026-02-01T02:00:00Z", "990"],
    ["2026-02-01T03:00:00Z", "1"],
  ];
  for (const [sequence, [at, equity]] of rows.entries()) {
    await api.database.superuser.query(
      `insert into equity (user_id, bot_id, epoch, sequence, equity, available, currency, at)
       values ($1, 'bot-ann', 1, $2, $3, 5, 'USDT', $4)`,
      [ann.id, sequence, equity, at],
    );
  }
  const query = "botId=bot-ann&from=2026-02-01T00:00:00Z&to=2026-02-01T03:00:00Z";
  const { status, body } = await ann.call(`GET /api/equity?${query}`);
  expect({ status, body }).toEqual({
    status: 200,
    body: {
      from: "2026-02-01T00:00:00.000Z",
      to: "2026-02-01T03:00:00.000Z",
      points: [
        {
          at: "2026-02-01T00:50:00.000Z",
          equity: "1001.000000000000000001",
          available: "5",
          currency: "USDT",
        },
        { at: "2026-02-01T02:00:00.000Z", equity: "990", available: "5", currency: "USDT" },
      ],
    },
  });
  const wide = await ann.call("GET /api/equity?botId=bot-ann&step=1m&from=2020-01-01T00:00:00Z");
  expect({ status: wide.status, body: wide.body }).toMatchObject({
    status: 422,
    body: { code: "validation_failed" },
  });
});

test.for(["trades?", "trades.csv?", "trades/statistics?", "equity?"])(
  "another's bot is not found, and neither is one that nobody has: GET /api/%s",
  async (path) => {
    for (const botId of ["bot-ann", "bot-nobody"]) {
      const answer = await ben.call(`GET /api/${path}botId=${botId}`);
      expect(answer).toMatchObject({ status: 404, body: { code: "not_found" } });
    }
    expect((await ann.call(`GET /api/${path}botId=bot-ann`)).status).toBe(200);
  },
);

test("a mistake in the query is said to be there", async () => {
  const { body } = await ann.call("GET /api/trades?bot=bot-ann");
  expect(body).toMatchObject({ errors: [{ path: "query" }] });
});

test("a filter by symbol finds trades wherever they are in time, page by page", async () => {
  const { body } = await ann.call("GET /api/trades?symbol=BTC/USDT:USDT&limit=1");
  expect(body).toMatchObject({ items: [{ symbol: "BTC/USDT:USDT", pnl: "-4.25" }], next: null });
  const first = await ann.call("GET /api/trades?symbol=ETH/USDT:USDT&botId=bot-ann&limit=3");
  const { items, next } = Page.parse(first.body);
  const rest = await ann.call(`GET /api/trades?symbol=ETH/USDT:USDT&botId=bot-ann&cursor=${next}`);
  const all = [...items, ...Page.parse(rest.body).items].map(({ openedAt }) => openedAt);
  expect(all).toHaveLength(5);
  expect(all).toEqual(all.toSorted().toReversed());
});

test("the typed client asks, answers and refuses as the API does", async () => {
  const url = await api.app.listen({ host: "127.0.0.1", port: 0 });
  const call = createClient({ url, token: () => ann.accessToken });
  expect((await call("GET /api/me", {})).email).toBe("ann@example.com");
  const { items, next } = await call("GET /api/trades", { query: { botId: "bot-ann", limit: 2 } });
  expect(items.map(({ botId }) => botId)).toEqual(["bot-ann", "bot-ann"]);
  const rest = await call("GET /api/trades", { query: { cursor: next ?? "" } });
  expect(rest.items).toHaveLength(4);
  expect(await call("GET /api/trades.csv", {})).toMatch(/^id,bot,symbol/);
  await expect(
    call("GET /api/bots/{id}", { path: { id: "somebody-elses" } }),
  ).rejects.toMatchObject({ problem: { code: "not_found", status: 404 } });
});
