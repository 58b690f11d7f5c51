import { beforeEach, describe, expect, test } from "vitest";
import { type Account, createAccount, positionOf } from "./account.ts";
import { processTick } from "./fill.ts";
import type { Tick } from "./matching.ts";
import { Decimal } from "./money.ts";
import { NO_PROTECTION, type Order, type OrderRequest, type StopOrderType } from "./order.ts";
import { changedSettings, defaultSettings, type Settings } from "./settings.ts";
import { openOrder, type Trading } from "./trading.ts";

let account: Account;
let trading: Trading;
let settings: Settings;

beforeEach(() => {
  settings = defaultSettings;
  account = createAccount(1, new Decimal(1_000));
  let [sequence, ids] = [0, 0];
  trading = {
    lastPrice: () => new Decimal(2_500),
    now: () => 1,
    replayTime: () => 2,
    newId: () => `id-${(ids += 1)}`,
    nextSequence: () => (sequence += 1),
    settings: () => settings,
  };
});

interface Placed extends Partial<OrderRequest> {
  readonly stopOrderType?: StopOrderType;
  readonly resting?: boolean;
}

function place(placed: Placed): Order {
  return openOrder(
    account,
    {
      symbol: "ETHUSDT",
      side: "Buy",
      type: placed.price === undefined ? "Market" : "Limit",
      quantity: new Decimal("0.1"),
      price: undefined,
      timeInForce: "GTC",
      linkId: "",
      reduceOnly: false,
      closeOnTrigger: false,
      trigger: undefined,
      protection: NO_PROTECTION,
      stopOrderType: "",
      resting: placed.price !== undefined,
      ...placed,
    },
    trading,
  );
}

function tick(one: Tick): void {
  processTick(account, { symbol: "ETHUSDT", tick: one }, trading);
}

const at = (price: number): void => tick({ kind: "price", price: new Decimal(price) });
const within = (low: number, high: number): void =>
  tick({ kind: "range", low: new Decimal(low), high: new Decimal(high) });

const exits = { takeProfit: new Decimal(2_550), stopLoss: new Decimal(2_450) };

function trades(): readonly string[] {
  return account.executions.map(
    ({ side, quantity, price }) => `${side} ${quantity.toFixed()} @ ${price.toFixed()}`,
  );
}

function open(): readonly string[] {
  return [...account.openOrders.values()].map(
    ({ stopOrderType, quantity, trigger }) =>
      `${stopOrderType} ${quantity.toFixed()} ${trigger?.price.toFixed() ?? ""}`,
  );
}

describe("an entry with stop and target", () => {
  test("filled at the open, is stopped inside the same candle", () => {
    place({ protection: exits });
    at(2_500);
    within(2_440, 2_560);
    expect(trades()).toEqual(["Buy 0.1 @ 2500", "Sell 0.1 @ 2450"]);
    expect(open()).toEqual([]);
  });

  test("filled at an open beyond its stop, is stopped right there", () => {
    place({ protection: exits });
    at(2_440);
    expect(trades()).toEqual(["Buy 0.1 @ 2440", "Sell 0.1 @ 2440"]);
  });

  test("filled inside a candle, is stopped there when the candle goes on, but takes no profit from it", () => {
    place({ price: new Decimal(2_480), protection: exits });
    within(2_470, 2_560);
    expect(trades()).toEqual(["Buy 0.1 @ 2480"]);
    at(2_551);
    expect(trades()).toEqual(["Buy 0.1 @ 2480", "Sell 0.1 @ 2551"]);

    place({ price: new Decimal(2_480), protection: exits });
    within(2_445, 2_560);
    expect(trades().slice(2)).toEqual(["Buy 0.1 @ 2480", "Sell 0.1 @ 2450"]);
  });

  test("that adds to a position moves its levels and covers all of it", () => {
    place({ protection: exits });
    at(2_500);
    place({ protection: { ...exits, stopLoss: new Decimal(2_460) } });
    at(2_510);
    expect(open()).toEqual(["StopLoss 0.2 2460", "TakeProfit 0.2 2550"]);
  });

  test("that turns a position round replaces its levels", () => {
    place({ protection: exits });
    at(2_500);
    const turned = { takeProfit: new Decimal(2_400), stopLoss: new Decimal(2_600) };
    place({ side: "Sell", quantity: new Decimal("0.3"), protection: turned });
    at(2_500);
    expect(open()).toEqual(["StopLoss 0.2 2600", "TakeProfit 0.2 2400"]);
    expect(positionOf(account, "ETHUSDT").holding.size.toFixed()).toBe("-0.2");
  });

  test("shrinks its levels with the position", () => {
    place({ protection: exits });
    at(2_500);
    place({ side: "Sell", quantity: new Decimal("0.04"), reduceOnly: true });
    at(2_500);
    expect(open()).toEqual(["StopLoss 0.06 2450", "TakeProfit 0.06 2550"]);
  });
});

describe("reduce-only", () => {
  test("orders in the book go with the position", () => {
    place({});
    at(2_500);
    const resting = place({ side: "Sell", price: new Decimal(2_600), reduceOnly: true });
    place({ side: "Sell", reduceOnly: true });
    at(2_500);
    expect(resting).toMatchObject({ status: "Cancelled", cancelType: "CancelByReduceOnly" });
  });

  test("two closes at once: the second finds nothing to reduce", () => {
    place({});
    at(2_500);
    const closes = [1, 2].map(() => place({ side: "Sell", reduceOnly: true }));
    at(2_500);
    expect(closes.map(({ status }) => status)).toEqual(["Filled", "Cancelled"]);
    expect(trades()).toHaveLength(2);
  });
});

test("a conditional entry that the balance does not carry is rejected when it triggers", () => {
  const order = place({
    quantity: new Decimal(5),
    trigger: { price: new Decimal(2_600), direction: "rising" },
    stopOrderType: "Stop",
  });
  within(2_500, 2_700);
  expect(order.status).toBe("Rejected");
  expect(trades()).toEqual([]);
});

test("a marketable limit that the price left rests and is filled as maker later", () => {
  const order = place({ price: new Decimal(2_500), resting: false });
  at(2_505);
  expect(order).toMatchObject({ status: "New", resting: true });
  within(2_499, 2_505);
  expect(account.executions[0]).toMatchObject({ maker: true });
  expect(account.executions[0]?.fee.toFixed()).toBe("0.05");
});

const fills = () =>
  account.executions.map(({ quantity, price }) => [quantity.toFixed(), price.toFixed()]);
const quantities = () => [...account.openOrders.values()].map(({ quantity }) => quantity.toFixed());

function inParts(parts: number, rest: "follows" | "cancelled" = "follows"): void {
  settings = changedSettings(settings, { fills: [{ parts, rest }] });
}

describe("orders that are filled in parts", () => {
  test("each price fills one part; the executions add up to the order", () => {
    inParts(3);
    const order = place({});
    at(2_500);
    expect(order).toMatchObject({ status: "PartiallyFilled" });
    expect(account.openOrders.size).toBe(1);
    within(2_490, 2_510);
    at(2_510);
    at(2_520);
    expect(fills()).toEqual([
      ["0.04", "2500"],
      ["0.04", "2510"],
      ["0.02", "2520"],
    ]);
    expect(order).toMatchObject({ status: "Filled" });
    expect(order.filledValue.toFixed()).toBe("250.8");
    expect(order.fee.toFixed()).toBe("0.13794");
    expect(account.executions.map(({ leavesQuantity }) => leavesQuantity.toFixed())).toEqual([
      "0.06",
      "0.02",
      "0",
    ]);
  });

  test("the rest of an order that may not wait is cancelled, what was filled stays", () => {
    inParts(2, "cancelled");
    const order = place({ protection: exits });
    at(2_500);
    expect(order).toMatchObject({ status: "Cancelled", rejectReason: "EC_NoImmediateQtyToFill" });
    expect(positionOf(account, "ETHUSDT").holding.size.toFixed()).toBe("0.05");
    const [stop] = account.openOrders.values();
    expect(stop).toMatchObject({ stopOrderType: "StopLoss" });
    expect(stop?.quantity.toFixed()).toBe("0.05");
  });

  test("a resting order goes on resting, whatever becomes of others' rests", () => {
    inParts(2, "cancelled");
    const order = place({ price: new Decimal(2_490) });
    within(2_480, 2_500);
    expect(order.status).toBe("PartiallyFilled");
    within(2_485, 2_500);
    expect(order.status).toBe("Filled");
    expect(fills()).toEqual([
      ["0.05", "2490"],
      ["0.05", "2490"],
    ]);
  });

  test("stop and target protect from the first part on and grow with the position", () => {
    inParts(2);
    place({ protection: exits });
    at(2_500);
    expect(quantities()).toEqual(["0.1", "0.05", "0.05"]);
    at(2_500);
    expect(quantities()).toEqual(["0.1", "0.1"]);
  });

  test("a stop between the parts of an entry ends the entry: no part of it is left without a stop", () => {
    inParts(2);
    const order = place({ protection: exits });
    at(2_500);
    settings = defaultSettings;
    within(2_440, 2_500);
    expect(order).toMatchObject({ status: "Cancelled", rejectReason: "EC_NoImmediateQtyToFill" });
    at(2_500);
    expect(positionOf(account, "ETHUSDT").holding.size.toFixed()).toBe("0");
    expect(account.openOrders.size).toBe(0);
    expect(fills()).toEqual([
      ["0.05", "2500"],
      ["0.05", "2450"],
    ]);
  });

  test("an order that turns a position round goes on in parts", () => {
    place({ protection: exits });
    at(2_500);
    inParts(2);
    place({ side: "Sell", quantity: new Decimal("0.3") });
    at(2_500);
    at(2_500);
    expect(positionOf(account, "ETHUSDT").holding.size.toFixed()).toBe("-0.2");
  });

  test("a stop in parts leaves the position open between them, and covers all of it", () => {
    place({ protection: exits });
    at(2_500);
    inParts(2);
    within(2_440, 2_500);
    expect(positionOf(account, "ETHUSDT").holding.size.toFixed()).toBe("0.05");
    at(2_440);
    expect(positionOf(account, "ETHUSDT").holding.size.toFixed()).toBe("0");
    expect(account.openOrders.size).toBe(0);
    expect(fills().slice(1)).toEqual([
      ["0.05", "2450"],
      ["0.05", "2440"],
    ]);
  });

  test("a stop whose rest is cancelled leaves the rest of the position unprotected", () => {
    place({ protection: exits });
    at(2_500);
    inParts(2, "cancelled");
    within(2_440, 2_500);
    expect(positionOf(account, "ETHUSDT").holding.size.toFixed()).toBe("0.05");
    expect([...account.openOrders.values()].map(({ stopOrderType }) => stopOrderType)).toEqual([
      "TakeProfit",
    ]);
  });

  test("fill or kill is not filled in parts", () => {
    inParts(2);
    const order = place({ price: new Decimal(2_510), timeInForce: "FOK", resting: false });
    at(2_500);
    expect(order).toMatchObject({ status: "Cancelled", rejectReason: "EC_CancelForNoFullFill" });
    expect(account.executions).toEqual([]);
  });
});
