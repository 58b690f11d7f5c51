import { beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
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
