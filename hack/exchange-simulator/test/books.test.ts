import { createHmac } from "node:crypto";
import { Decimal } from "decimal.js";
import { expect, test } from "vitest";
import { z } from "zod";
import type { Candle, CandleSeries } from "../candles.ts";
import { createInProcessExchange, type InProcessExchange } from "../in-process.ts";
import { createRandom, type Random } from "../random.ts";
import { KEY, MINUTE_MS, REPLAY_START_MS } from "./simulator.ts";

// Whatever is asked of the exchange, its books agree with each other. A seed that fails replays alone: SEED=17 vitest run …

const SEEDS = 40;
const STEPS = 120;
const HISTORY = 1;
/** 07:50 UTC: the funding of 08:00 falls into every run. */
const START_MS = REPLAY_START_MS + 470 * MINUTE_MS;
const ONLY = process.env["SEED"];
const seeds =
  ONLY === undefined ? Array.from({ length: SEEDS }, (_, seed) => seed) : [Number(ONLY)];

function price(value: number): string {
  return value.toFixed(2);
}

/** A random walk in steps of 0.1 % to 2 %, with gaps, on the tick. */
function walk(random: Random): CandleSeries {
  let last = 2_500;
  const candles = Array.from({ length: HISTORY + STEPS * 3 }, (_, index): Candle => {
    const step = (): number => (random() - 0.5) * (random() < 0.1 ? 0.2 : 0.01) * last;
    const [open, close] = [last + (random() < 0.2 ? step() : 0), last + step()];
    const [low, high] = [
      Math.min(open, close) * (1 - random() * 0.005),
      Math.max(open, close) * (1 + random() * 0.005),
    ];
    last = close;
    const start = START_MS + (index - HISTORY) * MINUTE_MS;
    const [o, h, l, c] = [open, high, low, close].map(price);
    return { start, open: o ?? "", high: h ?? "", low: l ?? "", close: c ?? "", volume: "1" };
  });
  return { symbol: "ETHUSDT", intervalMs: MINUTE_MS, candles };
}

function pick<Value>(random: Random, values: readonly Value[]): Value {
  const value = values[Math.floor(random() * values.length)];
  if (value === undefined) throw new Error("nothing to pick from");
  return value;
}

const Ticker = z.object({ list: z.array(z.object({ lastPrice: z.string() })) });

/** A request that may or may not make sense just now; the exchange refuses what does not. */
function askSomething(exchange: InProcessExchange, random: Random, id: string): void {
  const common = { category: "linear", symbol: "ETHUSDT" };
  const { result } = exchange.request("GET /v5/market/tickers", common);
  const last = Number(Ticker.parse(result).list[0]?.lastPrice);
  const near = (share: number): string => (last * (1 + (random() - 0.5) * share)).toFixed(2);
  const post = (path: string, parameters: object): void => {
    exchange.request(`POST /v5/${path}`, { ...common, ...parameters }, KEY.apiKey);
  };
  const side = pick(random, ["Buy", "Sell"]);
  const order = {
    side,
    orderLinkId: id,
    qty: pick(random, ["0.01", "0.1", "0.37", "2"]),
    reduceOnly: random() < 0.3,
  };
  const protection = random() < 0.5 ? {} : { stopLoss: near(0.05), takeProfit: near(0.05) };
  const limit = { orderType: "Limit", price: near(0.02) };
  const actions = [
    () => post("order/create", { ...order, ...protection, orderType: "Market" }),
    () => post("order/create", { ...order, ...limit, ...protection }),
    () => post("order/create", { ...order, ...limit, timeInForce: pick(random, ["IOC", "FOK"]) }),
    () =>
      post("order/create", {
        ...order,
        orderType: "Market",
        triggerPrice: near(0.04),
        triggerDirection: pick(random, [1, 2]),
      }),
    () => post("position/trading-stop", { stopLoss: pick(random, ["0", near(0.05)]) }),
    () => post("order/cancel-all", { orderFilter: pick(random, ["Order", "StopOrder"]) }),
    () => post("position/set-leverage", leverageOf(pick(random, ["2", "10", "50"]))),
    () =>
      exchange.control.changeSettings({
        fills: [
          { parts: pick(random, [1, 2, 3]), rest: pick(random, ["follows", "waits", "cancelled"]) },
        ],
        fundingRates: { ETHUSDT: pick(random, ["0", "0.0003", "-0.0001"]) },
      }),
    () => exchange.control.halfStep(),
    () => exchange.control.halfStep(),
    () => exchange.control.step(),
    () => exchange.control.step(),
  ];
  pick(random, actions)();
}

function leverageOf(leverage: string) {
  return { buyLeverage: leverage, sellLeverage: leverage };
}

type View = NonNullable<ReturnType<InProcessExchange["control"]["account"]>>;

function sum(values: readonly (string | Decimal)[]): Decimal {
  return values.reduce((total: Decimal, value) => total.plus(value), new Decimal(0));
}

/** Everything that is wrong with the books; nothing when they agree. */
function disagreements(view: View): readonly string[] {
  const wrong: string[] = [];
  const same = (what: string, left: string | Decimal, right: string | Decimal): void => {
    if (!new Decimal(left).eq(right))
      wrong.push(`${what}: ${left.toString()}, not ${right.toString()}`);
  };
  const { wallet, executions, orders, positions } = view;
  const results = executions.map(({ realisedPnl, fee }) => new Decimal(realisedPnl).minus(fee));
  same("wallet", wallet.balance, sum(results).plus(wallet.initialBalance));
  const held = new Decimal(positions[0]?.size ?? 0).times(positions[0]?.side === "Sell" ? -1 : 1);
  const traded = executions
    .filter(({ type }) => type !== "Funding")
    .map(({ side, quantity }) => new Decimal(quantity).times(side === "Buy" ? 1 : -1));
  same("position", held, sum(traded));
  for (const order of orders) {
    const fills = executions.filter(({ orderId }) => orderId === order.orderId);
    same(`filled of ${order.orderId}`, order.filledQuantity, sum(fills.map((f) => f.quantity)));
    same(`value of ${order.orderId}`, order.filledValue, sum(fills.map(({ value }) => value)));
    same(`fee of ${order.orderId}`, order.fee, sum(fills.map(({ fee }) => fee)));
    const whole = new Decimal(order.filledQuantity).eq(order.quantity);
    if ((order.status === "Filled") !== whole)
      wrong.push(`${order.status} with ${order.filledQuantity}`);
    const open = order.status === "Untriggered" || order.status === "PartiallyFilled";
    const protects = order.stopOrderType === "StopLoss" || order.stopOrderType === "TakeProfit";
    if (open && protects) {
      const leaves = new Decimal(order.quantity).minus(order.filledQuantity);
      same(`cover of ${order.stopOrderType}`, leaves, held.abs());
    }
  }
  return wrong;
}

const Message = z.object({
  topic: z.string(),
  data: z.array(z.looseObject({ orderId: z.string().optional() })),
});

/** Listens to the private stream: the newest state of every order, and how many executions there were. */
function listen(exchange: InProcessExchange, nowMs: number) {
  const statuses = new Map<string, unknown>();
  const executionIds: unknown[] = [];
  const session = exchange.openPrivateStream(
    (text) => {
      const message = Message.safeParse(JSON.parse(text)).data;
      const entry = message?.data[0];
      if (entry?.orderId === undefined) return;
      if (message?.topic === "order") statuses.set(entry.orderId, entry["orderStatus"]);
      else executionIds.push(entry["execId"]);
    },
    () => {},
  );
  const expires = nowMs + 10_000;
  const signature = createHmac("sha256", KEY.apiSecret)
    .update(`GET/realtime${expires}`)
    .digest("hex");
  session.receive(JSON.stringify({ op: "auth", args: [KEY.apiKey, expires, signature] }));
  session.receive(JSON.stringify({ op: "subscribe", args: ["order", "execution"] }));
  return { statuses, executionIds };
}

function accountOf(exchange: InProcessExchange): View {
  const view = exchange.control.account(KEY.apiKey);
  if (view === undefined) throw new Error("the key is not registered");
  return view;
}

function run(seed: number): View {
  const random = createRandom(seed);
  const nowMs = 1_800_000_000_000;
  const exchange = createInProcessExchange({
    nowMs: () => nowMs,
    seed,
    candles: [walk(random)],
    historyCandles: HISTORY,
  });
  exchange.control.addKey({ ...KEY, balance: "1000" });
  exchange.control.changeSettings({ liquidation: random() < 0.5 });
  const told = listen(exchange, nowMs);
  for (let step = 0; step < STEPS; step += 1) {
    askSomething(exchange, random, `seed-${seed}-${step}`);
    const wrong = disagreements(accountOf(exchange));
    if (wrong.length > 0) throw new Error(`seed ${seed}, step ${step}: ${wrong.join("; ")}`);
  }
  const view = accountOf(exchange);
  expect(told.executionIds).toEqual(view.executions.map(({ executionId }) => executionId));
  const statuses = view.orders.map(({ orderId, status }) => [orderId, status] as const);
  expect(new Map(statuses)).toEqual(told.statuses);
  return view;
}

test(`after every step of ${seeds.length} random runs wallet, orders, executions, positions and stream agree`, () => {
  const views = seeds.map(run);
  // The runs are worth something: everything that can happen has happened.
  const happened = new Set<string>(
    views.flatMap(({ executions, orders }) => [
      ...executions.map(({ type }) => type),
      ...orders.map(({ status }) => status),
    ]),
  );
  const expected = [
    "Trade",
    "Funding",
    "BustTrade",
    "New",
    "Untriggered",
    "PartiallyFilled",
    "Filled",
    "Cancelled",
    "Deactivated",
  ];
  const missing = expected.filter((name) => !happened.has(name));
  expect(ONLY === undefined ? missing : []).toEqual([]);
});

test("a seed repeats a run to the last id", () => {
  expect(run(1)).toEqual(run(1));
});
