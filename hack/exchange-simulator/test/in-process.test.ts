import { createHmac } from "node:crypto";
import { beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import type { FaultRule } from "../faults.ts";
import { createInProcessExchange, type InProcessExchange } from "../in-process.ts";
import type { Delivery } from "../rest/delivery.ts";
import { BALANCE, HISTORY_CANDLES, KEY, type Prices, scripted } from "./simulator.ts";

const START_MS = 1_800_000_000_000;

let nowMs: number;
let exchange: InProcessExchange;

beforeEach(() => {
  exchange = create();
});

function create(future: readonly Prices[] = [], seed = 1): InProcessExchange {
  nowMs = START_MS;
  const made = createInProcessExchange({
    nowMs: () => nowMs,
    seed,
    candles: [scripted(future)],
    historyCandles: HISTORY_CANDLES,
  });
  made.control.addKey({ ...KEY, balance: BALANCE });
  return made;
}

const entry = {
  category: "linear",
  symbol: "ETHUSDT",
  side: "Buy",
  orderType: "Market",
  qty: "0.1",
  orderLinkId: "entry",
  takeProfit: "2550",
  stopLoss: "2475",
};
const Refusal = z.object({ retCode: z.number() });
const CREATE = "POST /v5/order/create";

function account() {
  const view = exchange.control.account(KEY.apiKey);
  if (view === undefined) throw new Error("the key is not registered");
  return view;
}

function envelope(delivery: Delivery) {
  if (delivery.kind !== "answer") throw new Error(`answered by ${delivery.kind}`);
  return Refusal.parse(JSON.parse(delivery.text));
}

describe("without HTTP", () => {
  test("an order goes through to its stop, on the caller's clock", () => {
    exchange = create([
      ["2500.00", "2500.00", "2500.00", "2500.00"],
      ["2480.00", "2490.00", "2470.00", "2480.00"],
    ]);
    expect(exchange.request(CREATE, entry, KEY.apiKey)).toMatchObject({
      retCode: 0,
      time: START_MS,
    });
    nowMs += 60_000;
    exchange.halfStep();
    expect(account().positions).toMatchObject([{ size: "0.1", entryPrice: "2500" }]);
    exchange.halfStep();
    exchange.step();
    const { positions, executions } = account();
    expect(positions).toEqual([]);
    expect(executions.at(-1)).toMatchObject({
      price: "2475",
      stopOrderType: "StopLoss",
      timeMs: START_MS + 60_000,
    });
  });

  test("a seed repeats every id; another one does not", () => {
    const orderIds = [1, 1, 2].map((seed) => {
      exchange = create([], seed);
      exchange.openPublicStream(
        () => {},
        () => {},
      );
      exchange.request(CREATE, entry, KEY.apiKey);
      exchange.step();
      const { orders, executions } = account();
      return [...orders.map(({ orderId }) => orderId), executions[0]?.executionId];
    });
    expect(orderIds[0]).toHaveLength(4);
    expect(orderIds[1]).toEqual(orderIds[0]);
    expect(orderIds[2]).not.toEqual(orderIds[0]);
  });

  test("keys and receive windows are checked, signatures are not", () => {
    const query = { endpoint: "GET /v5/account/info" };
    const codes = [
      {},
      { apiKey: "nobody" },
      { apiKey: KEY.apiKey },
      { apiKey: KEY.apiKey, timestampMs: START_MS - 5_001 },
      { apiKey: KEY.apiKey, timestampMs: START_MS - 5_000 },
      { apiKey: KEY.apiKey, timestampMs: START_MS - 2_000, receiveWindowMs: 1_000 },
      { apiKey: KEY.apiKey, timestampMs: START_MS + 1_000 },
    ].map((changes) => envelope(exchange.deliver({ ...query, ...changes })).retCode);
    expect(codes).toEqual([10003, 10003, 0, 10002, 0, 10002, 10002]);
    exchange.control.revokeKey(KEY.apiKey);
    expect(exchange.request("GET /v5/account/info", {}, KEY.apiKey).retCode).toBe(10003);
  });

  test("the server's clock can be wrong by a skew, and come right", () => {
    exchange.control.setSkew(-5_000);
    expect(exchange.request("GET /v5/market/time").time).toBe(START_MS - 5_000);
    exchange.control.setSkew(0);
    expect(exchange.request("GET /v5/market/time").time).toBe(START_MS);
  });

  test("an endpoint that is not simulated is an error of the caller", () => {
    expect(() => exchange.request("GET /v5/nothing")).toThrow("GET /v5/nothing is not simulated");
  });

  test("the public stream speaks as the socket does", () => {
    const messages: { topic?: string; op?: string }[] = [];
    const session = exchange.openPublicStream(
      (text) => messages.push(JSON.parse(text)),
      () => {},
    );
    session.receive(JSON.stringify({ op: "subscribe", args: ["kline.1.ETHUSDT"] }));
    exchange.step();
    session.close();
    exchange.step();
    expect(messages.map(({ op, topic }) => op ?? topic)).toEqual([
      "subscribe",
      "kline.1.ETHUSDT",
      "kline.1.ETHUSDT",
    ]);
  });
});

function deliverEntry(): Delivery {
  return exchange.deliver({ endpoint: CREATE, parameters: entry, apiKey: KEY.apiKey });
}
const orders = (): number => account().orders.length;

describe("deliveries", () => {
  test("a request that arrives late happens when its caller says so, and may be too late", () => {
    const fault = { kind: "delay", ms: 4_000, when: "before" } as const;
    exchange.control.setFaults([{ match: { endpoint: CREATE }, fault, times: 2 }]);
    const first = deliverEntry();
    expect(first).toMatchObject({ kind: "wait", ms: 4_000 });
    expect(orders()).toBe(0);
    nowMs += 4_000;
    expect(envelope(after(first)).retCode).toBe(0);
    expect(orders()).toBe(1);
    const second = exchange.deliver({
      endpoint: CREATE,
      parameters: { ...entry, orderLinkId: "second" },
      apiKey: KEY.apiKey,
      timestampMs: nowMs - 2_000,
    });
    nowMs += 4_000;
    expect(envelope(after(second)).retCode).toBe(10002);
    expect(orders()).toBe(1);
  });

  test("a request without its answer is told apart from one that never arrived", () => {
    const kinds = (["before", "after"] as const).map((when) => {
      exchange.control.setFaults([{ match: {}, fault: { kind: "reset", when } }]);
      return [deliverEntry().kind, orders()];
    });
    expect(kinds).toEqual([
      ["reset", 0],
      ["reset", 1],
    ]);
  });

  test.each([
    ["truncated", "truncate"],
    ["stalled", "stall"],
  ] as const)("a %s answer is a beginning of the true one", (shown, kind) => {
    exchange.control.setFaults([{ match: {}, fault: { kind } }]);
    const delivery = deliverEntry();
    if (delivery.kind !== shown) throw new Error(delivery.kind);
    expect(delivery.whole.startsWith(delivery.text)).toBe(true);
    expect(Refusal.parse(JSON.parse(delivery.whole)).retCode).toBe(0);
    expect(() => z.json().parse(JSON.parse(delivery.text))).toThrow(SyntaxError);
  });

  test("the plain request is never spoilt", () => {
    exchange.control.setFaults([
      { match: {}, fault: { kind: "hang", when: "after" }, times: null },
    ]);
    expect(exchange.request(CREATE, entry, KEY.apiKey).retCode).toBe(0);
  });
});

describe("executions that the list shows late", () => {
  const Listed = z.object({ list: z.array(z.object({ execType: z.string() })) });

  function listed(): readonly string[] {
    const query = { category: "linear", symbol: "ETHUSDT" };
    const { result } = exchange.request("GET /v5/execution/list", query, KEY.apiKey);
    return Listed.parse(result).list.map(({ execType }) => execType);
  }

  test.for<[what: string, delay: object, before: readonly string[]]>([
    ["the stop's", { type: "Trade", stopOrderType: "StopLoss" }, ["Funding", "Trade"]],
    ["a target's", { stopOrderType: "TakeProfit" }, ["Trade", "Funding", "Trade"]],
    ["a plain order's", { type: "Trade", stopOrderType: "" }, ["Trade", "Funding"]],
    ["funding", { type: "Funding" }, ["Trade", "Trade"]],
    ["all of the symbol's", { symbol: "ETHUSDT" }, []],
    ["all of another's", { symbol: "BTCUSDT" }, ["Trade", "Funding", "Trade"]],
  ])("%s", ([, match, before]) => {
    const flat: Prices = ["2500.00", "2500.00", "2500.00", "2500.00"];
    // The replay begins at 00:00 UTC; funding is due at its first candle's open.
    exchange = create([flat, ["2500.00", "2500.00", "2470.00", "2470.00"]]);
    exchange.control.changeSettings({
      fundingRates: { ETHUSDT: "0.0001" },
      executionDelays: [{ ...match, delayMs: 4_000 }],
    });
    exchange.control.setSpeed(0);
    exchange.request(CREATE, entry, KEY.apiKey);
    exchange.control.setSpeed("lockstep");
    exchange.step(2);
    expect(account().executions.map(({ type }) => type)).toEqual(["Trade", "Funding", "Trade"]);
    // The position is as it is.
    expect(account().positions).toEqual([]);
    nowMs += 3_999;
    expect(listed()).toEqual(before);
    nowMs += 1;
    expect(listed()).toEqual(["Trade", "Funding", "Trade"]);
  });
});

describe("positions that the list shows late", () => {
  const Listed = z.object({ list: z.array(z.object({ size: z.string(), stopLoss: z.string() })) });

  function listed(query: object) {
    const asked = { category: "linear", ...query };
    const { result } = exchange.request("GET /v5/position/list", asked, KEY.apiKey);
    return Listed.parse(result).list.map(({ size, stopLoss }) => `${size} ${stopLoss}`);
  }

  test("size, stop and end are shown so long after they changed, and the books stay true", () => {
    const flat: Prices = ["2500.00", "2500.00", "2500.00", "2500.00"];
    exchange = create([flat, ["2500.00", "2500.00", "2470.00", "2470.00"]]);
    exchange.control.changeSettings({ positionDelays: [{ symbol: "ETHUSDT", delayMs: 3_000 }] });
    const seen: string[][] = [];
    const look = () => seen.push(listed({ symbol: "ETHUSDT" }), listed({ settleCoin: "USDT" }));
    exchange.request(CREATE, entry, KEY.apiKey);
    exchange.step();
    look();
    nowMs += 3_000;
    look();
    exchange.step();
    expect(account().positions).toEqual([]);
    look();
    nowMs += 3_000;
    look();
    const held = ["0.1 2475"];
    expect(seen).toEqual([["0 "], [], held, held, held, held, ["0 "], []]);
  });

  test("the end of the setting shows what is", () => {
    exchange.control.changeSettings({ positionDelays: [{ delayMs: 3_000 }] });
    exchange.request(CREATE, entry, KEY.apiKey);
    exchange.step();
    expect(listed({ symbol: "ETHUSDT" })).toEqual(["0 "]);
    exchange.control.changeSettings({ positionDelays: [] });
    expect(listed({ symbol: "ETHUSDT" })).toEqual(["0.1 2475"]);
  });
});

describe("questions about the past", () => {
  const DAY_MS = 86_400_000;
  const still = { category: "linear", symbol: "ETHUSDT" };
  const Times = z.object({
    list: z.array(z.object({ execTime: z.string().optional(), orderLinkId: z.string() })),
  });

  function asked(path: string, query: object) {
    const { retCode, result } = exchange.request(
      `GET /v5/${path}`,
      { ...still, ...query },
      KEY.apiKey,
    );
    if (retCode !== 0) return retCode;
    return Times.parse(result).list.map(({ orderLinkId }) => orderLinkId);
  }

  /** One order a day for ten days, named by its day; the last is today. */
  beforeEach(() => {
    exchange.control.setSpeed(0);
    for (let day = 0; day <= 10; day += 1) {
      nowMs = START_MS + day * DAY_MS;
      const { category, symbol, side, orderType, qty } = entry;
      const order = { category, symbol, side, orderType, qty, orderLinkId: `${day}` };
      exchange.request(CREATE, order, KEY.apiKey);
    }
  });

  const at = (day: number): number => START_MS + day * DAY_MS;

  test.for<[what: string, query: object, days: readonly string[] | number]>([
    ["without times: seven days", {}, ["10", "9", "8", "7", "6", "5", "4", "3"]],
    ["from a start on: seven days", { startTime: at(1) }, ["8", "7", "6", "5", "4", "3", "2", "1"]],
    ["up to an end: seven days", { endTime: at(8) }, ["8", "7", "6", "5", "4", "3", "2", "1"]],
    ["seven days", { startTime: at(0), endTime: at(1) - 1 }, ["0"]],
    ["more than seven days", { startTime: at(0), endTime: at(7) + 1 }, 10001],
    ["backwards", { startTime: at(2), endTime: at(1) }, 10001],
  ])("%s", ([, query, days]) => {
    expect(asked("execution/list", query)).toEqual(days);
    expect(asked("order/history", query)).toEqual(days);
  });

  test("a cancelled order of which nothing was filled is forgotten after a day", () => {
    const limit = { ...still, side: "Buy", orderType: "Limit", qty: "0.1", price: "2000" };
    exchange.request(CREATE, { ...limit, orderLinkId: "cancelled" }, KEY.apiKey);
    const named = { ...still, orderLinkId: "cancelled" };
    exchange.request("POST /v5/order/cancel", named, KEY.apiKey);
    nowMs += DAY_MS;
    expect(asked("order/history", { orderLinkId: "cancelled" })).toEqual(["cancelled"]);
    nowMs += 1;
    expect(asked("order/history", { orderLinkId: "cancelled" })).toEqual([]);
    expect(asked("order/history", { orderLinkId: "10" })).toEqual(["10"]);
  });

  test("a restart empties what realtime knows of closed orders, and no history", () => {
    const named = { orderLinkId: "10" };
    expect(asked("order/realtime", named)).toEqual(["10"]);
    nowMs += 1;
    exchange.control.changeSettings({ maintenance: true });
    exchange.control.changeSettings({ maintenance: false });
    expect(asked("order/realtime", named)).toEqual([]);
    expect(asked("order/history", named)).toEqual(["10"]);
  });
});

describe("limits", () => {
  const positions = { category: "linear", symbol: "ETHUSDT" };

  function ask(endpoint: string, apiKey = KEY.apiKey) {
    const delivery = exchange.deliver({ endpoint, parameters: positions, apiKey });
    if (delivery.kind !== "answer") throw new Error(delivery.kind);
    const { status, headers, text } = delivery;
    return { status, headers, retCode: status === 200 ? envelope(delivery).retCode : text };
  }

  test("requests beyond the limit of a second are answered 10006, with Bybit's headers", () => {
    exchange.control.changeSettings({ requestsPerSecond: 2 });
    exchange.control.addKey({ apiKey: "other", apiSecret: "s", balance: "1" });
    const answers = [0, 1, 2].map(() => ask("GET /v5/position/list"));
    expect(answers.map(({ retCode }) => retCode)).toEqual([0, 0, 10006]);
    expect(answers.map(({ headers }) => headers["x-bapi-limit-status"])).toEqual(["1", "0", "0"]);
    expect(answers[2]?.headers).toMatchObject({
      "x-bapi-limit": "2",
      "x-bapi-limit-reset-timestamp": `${START_MS + 1_000}`,
    });
    // Another endpoint, another account and public data have room of their own.
    expect(ask("GET /v5/account/info").retCode).toBe(0);
    expect(ask("GET /v5/position/list", "other").retCode).toBe(0);
    expect(ask("GET /v5/market/tickers").retCode).toBe(0);
    nowMs += 1_000;
    expect(ask("GET /v5/position/list").retCode).toBe(0);
  });

  test("an address that asks too often is banned for a while, public endpoints included", () => {
    exchange.control.changeSettings({ requestsPer5Seconds: 3, banMs: 60_000 });
    const answers = [0, 1, 2, 3, 4].map(() => ask("GET /v5/market/tickers"));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 403, 403]);
    expect(answers[3]?.retCode).toBe("403, access too frequent");
    expect(exchange.deliver({ endpoint: CREATE, parameters: entry })).toMatchObject({
      status: 403,
    });
    expect(orders()).toBe(0);
    nowMs += 60_000;
    expect(ask("GET /v5/market/tickers").status).toBe(200);
  });
});

describe("faults of streams", () => {
  const Message = z.object({ topic: z.string(), data: z.array(z.looseObject({})) });

  /** What the private stream tells of an order that is placed and cancelled, under one rule. */
  function told(rule: FaultRule): readonly string[] {
    const statuses: string[] = [];
    const session = exchange.openPrivateStream(
      (text) => {
        const message = Message.safeParse(JSON.parse(text));
        if (message.success) statuses.push(String(message.data.data[0]?.["orderStatus"]));
      },
      () => statuses.push("reset"),
    );
    const expires = nowMs + 10_000;
    const signature = createHmac("sha256", KEY.apiSecret)
      .update(`GET/realtime${expires}`)
      .digest("hex");
    session.receive(JSON.stringify({ op: "auth", args: [KEY.apiKey, expires, signature] }));
    session.receive(JSON.stringify({ op: "subscribe", args: ["order"] }));
    exchange.control.setFaults([rule]);
    for (const orderLinkId of ["one", "two"]) {
      const limit = { ...entry, orderType: "Limit", price: "2480", orderLinkId, takeProfit: "" };
      exchange.request(CREATE, limit, KEY.apiKey);
      const { symbol, category } = entry;
      exchange.request("POST /v5/order/cancel", { category, symbol, orderLinkId }, KEY.apiKey);
    }
    return statuses;
  }

  test.for<[kind: "silence" | "duplicate" | "reorder" | "reset", told: readonly string[]]>([
    ["silence", ["New", "New", "Cancelled"]],
    ["duplicate", ["New", "Cancelled", "Cancelled", "New", "Cancelled"]],
    ["reorder", ["New", "New", "Cancelled", "Cancelled"]],
    ["reset", ["New", "reset"]],
  ])("%s of the second message", ([kind, expected]) => {
    const match = { stream: "private", topic: "order", apiKey: KEY.apiKey } as const;
    expect(told({ match, fault: { kind }, after: 1 })).toEqual(expected);
  });

  test("a late message is handed on with the time that it is held up", () => {
    const late: number[] = [];
    const session = exchange.openPublicStream(
      (_text, lateMs) => late.push(lateMs),
      () => {},
    );
    session.receive(JSON.stringify({ op: "subscribe", args: ["kline.1.ETHUSDT"] }));
    const fault = { kind: "delay", ms: 12_000 } as const;
    exchange.control.setFaults([{ match: { stream: "public" }, fault, after: 1 }]);
    exchange.step();
    expect(late).toEqual([0, 0, 12_000]);
  });

  test("a silent public stream still answers pings", () => {
    const messages: unknown[] = [];
    const session = exchange.openPublicStream(
      (text) => messages.push(JSON.parse(text)),
      () => {},
    );
    session.receive(JSON.stringify({ op: "subscribe", args: ["kline.1.ETHUSDT"] }));
    const match = { stream: "public", topic: "kline.1.*" } as const;
    exchange.control.setFaults([{ match, fault: { kind: "silence" }, times: null }]);
    exchange.step(3);
    session.receive(JSON.stringify({ op: "ping" }));
    expect(messages).toMatchObject([{ op: "subscribe" }, { op: "ping", ret_msg: "pong" }]);
    expect(exchange.control.faults()).toMatchObject([{ hits: 6 }]);
    exchange.control.setFaults([]);
    exchange.step();
    expect(messages).toHaveLength(4);
  });
});

/** What comes once a delivery that waits has waited. */
function after(delivery: Delivery): Delivery {
  if (delivery.kind !== "wait") throw new Error(`${delivery.kind} instead of a wait`);
  return delivery.next();
}
