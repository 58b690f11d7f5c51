import { expect, test } from "vitest";
import { matchOrder, nextMatch, type Tick } from "./matching.ts";
import { Decimal, ZERO } from "./money.ts";
import { NO_PROTECTION, type Order } from "./order.ts";

function order(changes: Partial<Order>): Order {
  return {
    id: "order",
    sequence: 1,
    linkId: "",
    symbol: "ETHUSDT",
    side: "Buy",
    type: "Market",
    timeInForce: "GTC",
    reduceOnly: false,
    closeOnTrigger: false,
    stopOrderType: "",
    lastPriceOnCreated: new Decimal(100),
    createdMs: 0,
    quantity: new Decimal(1),
    price: undefined,
    trigger: undefined,
    protection: NO_PROTECTION,
    status: "New",
    resting: false,
    cancelType: "UNKNOWN",
    rejectReason: "EC_NoError",
    filledQuantity: ZERO,
    filledValue: ZERO,
    fee: ZERO,
    updatedMs: 0,
    ...changes,
  };
}

function limit(side: Order["side"], price: number, changes: Partial<Order> = {}): Order {
  return order({ side, type: "Limit", price: new Decimal(price), ...changes });
}

function stop(price: number, changes: Partial<Order> = {}): Order {
  const trigger = { price: new Decimal(price), direction: "falling" } as const;
  return order({
    side: "Sell",
    status: "Untriggered",
    stopOrderType: "StopLoss",
    trigger,
    ...changes,
  });
}

function target(price: number, changes: Partial<Order> = {}): Order {
  const trigger = { price: new Decimal(price), direction: "rising" } as const;
  return order({
    side: "Sell",
    status: "Untriggered",
    stopOrderType: "TakeProfit",
    trigger,
    ...changes,
  });
}

const at = (price: number): Tick => ({ kind: "price", price: new Decimal(price) });
const within = (low: number, high: number): Tick => ({
  kind: "range",
  low: new Decimal(low),
  high: new Decimal(high),
});

test.for<[name: string, order: Order, tick: Tick, outcome: string]>([
  ["a market order trades at the next price", order({}), at(101), "fill 101 taker"],
  ["a market order does not trade inside a range", order({}), within(90, 110), "nothing"],
  [
    "a resting buy trades at its own price when it is reached",
    limit("Buy", 99, { resting: true }),
    within(98, 101),
    "fill 99 maker",
  ],
  [
    "a resting buy trades when it is just touched",
    limit("Buy", 98, { resting: true }),
    within(98, 101),
    "fill 98 maker",
  ],
  [
    "a resting buy waits above its price",
    limit("Buy", 97, { resting: true }),
    within(98, 101),
    "nothing",
  ],
  [
    "a resting sell trades at its own price",
    limit("Sell", 101, { resting: true }),
    at(102),
    "fill 101 maker",
  ],
  ["a marketable buy trades at the better price", limit("Buy", 105), at(101), "fill 101 taker"],
  ["a marketable buy that the price left comes to rest", limit("Buy", 100), at(101), "rest"],
  ["a marketable buy waits through a range", limit("Buy", 105), within(90, 110), "nothing"],
  [
    "an immediate-or-cancel order that the price left is cancelled",
    limit("Buy", 100, { timeInForce: "IOC" }),
    at(101),
    "cancel",
  ],
  ["a stop fires inside a range at its trigger", stop(95), within(94, 101), "fill 95 taker"],
  ["a stop fires when it is just touched", stop(95), within(95, 101), "fill 95 taker"],
  ["a stop waits above its trigger", stop(95), within(95.01, 101), "nothing"],
  ["a candle that opens below a stop fills it at the open", stop(95), at(90), "fill 90 taker"],
  [
    "a stop above the whole range trades at the range's top",
    stop(95),
    within(90, 94),
    "fill 94 taker",
  ],
  ["a target fires inside a range at its trigger", target(105), within(99, 106), "fill 105 taker"],
  [
    "a candle that opens above a target fills it at the open",
    target(105),
    at(107),
    "fill 107 taker",
  ],
  [
    "a triggered limit order becomes active",
    limit("Sell", 94, {
      status: "Untriggered",
      trigger: { price: new Decimal(95), direction: "falling" },
    }),
    within(94, 99),
    "activate",
  ],
])("matching: %s", ([, one, tick, outcome]) => {
  const match = matchOrder(one, tick);
  const fill =
    match?.kind === "fill" ? ` ${match.price.toFixed()} ${match.maker ? "maker" : "taker"}` : "";
  expect(`${match?.kind ?? "nothing"}${fill}`).toBe(outcome);
});

const OLD = 100;

test.for<[name: string, orders: readonly Order[], tick: Tick, served: string | undefined]>([
  [
    "the stop before the target when both are reached",
    [target(105, { id: "target", sequence: 1 }), stop(95, { id: "stop", sequence: 2 })],
    within(90, 110),
    "stop",
  ],
  [
    "the target when only it is reached",
    [stop(95, { id: "stop" }), target(105, { id: "target" })],
    within(96, 110),
    "target",
  ],
  [
    "a limit before a target",
    [
      target(105, { id: "target", sequence: 1 }),
      limit("Buy", 99, { id: "limit", resting: true, sequence: 2 }),
    ],
    within(90, 110),
    "limit",
  ],
  [
    "the older of two stops",
    [stop(95, { id: "young", sequence: 3 }), stop(96, { id: "old", sequence: 2 })],
    within(90, 110),
    "old",
  ],
  [
    "no target that the same range made",
    [target(105, { id: "target", sequence: OLD + 1 })],
    within(90, 110),
    undefined,
  ],
  [
    "a stop that the same range made",
    [stop(95, { id: "stop", sequence: OLD + 1 })],
    within(90, 110),
    "stop",
  ],
  [
    "a target that the same price made",
    [target(105, { id: "target", sequence: OLD + 1 })],
    at(106),
    "target",
  ],
  ["nothing when nothing is reached", [stop(95), target(105)], within(96, 104), undefined],
])("a tick serves %s", ([, orders, tick, served]) => {
  expect(nextMatch(orders, tick, OLD)?.order.id).toBe(served);
});
