import type { Intent, Trade } from "@tradingbots/crds";
import { describe, expect, test } from "vitest";
import type { Execution, HeldPosition, OrderView } from "../exchange/exchange.ts";
import { timeframeMs } from "../exchange/timeframe.ts";
import { amount, price, quantity } from "../money.ts";
import { candleReference, exitOrderIds, orderId } from "../orders/order-id.ts";
import { exampleExecution } from "./example-bot.ts";
import { exampleConfig } from "./example-config.ts";
import { ExampleExchange } from "./example-holder.ts";
import { couldBeOwn, findOrphan, foreignHolding, rememberedWork } from "./reconcile.ts";
import { type Work, workFromTrade } from "./work.ts";

const SYMBOL = "BTC/USDT:USDT";
const OWN = "11111111-1111-8111-8111-111111111111";
const UNEXPLAINED = "33333333-3333-8333-9333-333333333333";
const [EXIT_OF_UNEXPLAINED] = exitOrderIds({
  botUid: exampleConfig.botUid,
  symbol: SYMBOL,
  entryId: UNEXPLAINED,
});

const trade: Trade = {
  id: OWN,
  symbol: SYMBOL,
  side: "long",
  quantity: "1",
  entryPrice: "100",
  exitPrice: null,
  pnl: null,
  fees: "0",
  funding: "0",
  openedAt: "2025-06-18T00:00:00Z",
  closedAt: null,
  reason: null,
};

const TAKEN_UP = { adopted: true, takenUpMs: 0 };

/** A work that has settled with `open` still held. */
function settled(open: string): Work {
  const work = workFromTrade(trade, TAKEN_UP);
  return { ...work, entry: "over", account: { ...work.account, open: quantity(open) } };
}

function held(side: "long" | "short", units: string): HeldPosition {
  return {
    symbol: SYMBOL,
    side,
    quantity: quantity(units),
    entryPrice: price("100"),
    unrealisedPnl: amount("0"),
    stopLoss: undefined,
    takeProfit: undefined,
    liquidationPrice: undefined,
  };
}

function order(change: Partial<OrderView>): OrderView {
  return {
    clientOrderId: undefined,
    exchangeOrderId: "x1",
    side: "buy",
    quantity: quantity("1"),
    filledQuantity: quantity("0"),
    status: "open",
    isProtection: false,
    createdMs: 0,
    ...change,
  };
}

describe("what holds a symbol that is not the bot's own", () => {
  test.each<[string, Work[], HeldPosition | undefined, OrderView[], string | undefined]>([
    ["nothing", [], undefined, [], undefined],
    ["its own position", [settled("1")], held("long", "1"), [], undefined],
    ["less than its own", [settled("1")], held("long", "0.4"), [], undefined],
    ["a position without a work", [], held("long", "1"), [], "a long position of 1 was not opened"],
    [
      "more than its own",
      [settled("1")],
      held("long", "1.5"),
      [],
      "a long position of 0.5 was not opened",
    ],
    [
      "the other side",
      [settled("1")],
      held("short", "1"),
      [],
      "a short position of 1 was not opened",
    ],
    [
      "while an entry may still fill",
      [workFromTrade(trade, TAKEN_UP)],
      held("long", "1"),
      [],
      undefined,
    ],
    [
      "its own order",
      [workFromTrade(trade, TAKEN_UP)],
      undefined,
      [order({ clientOrderId: OWN })],
      undefined,
    ],
    ["its stop", [settled("1")], held("long", "1"), [order({ isProtection: true })], undefined],
    ["an order without an id", [], undefined, [order({})], "order x1 was not sent by this bot"],
    [
      "somebody's order",
      [],
      undefined,
      [order({ clientOrderId: "by-hand" })],
      "order x1 was not sent",
    ],
  ])("%s", (...[, works, position, orders, sentence]) => {
    const found = foreignHolding(works, { symbol: SYMBOL, held: position, orders });
    expect(found === undefined).toBe(sentence === undefined);
    expect(found ?? "").toContain(sentence ?? "");
  });
});

describe("what holds a symbol could be the bot's own", () => {
  const byHand = exampleExecution("buy", { clientOrderId: "by-hand" });
  const inOurForm = exampleExecution("buy", { clientOrderId: UNEXPLAINED });
  const stop = exampleExecution("sell", { cause: "stop" });
  test.each<[string, boolean, Work[], HeldPosition | undefined, OrderView[], Execution[]]>([
    ["not when it was opened by hand", false, [], held("long", "1"), [], [byHand]],
    ["not when nobody named it", false, [], held("long", "1"), [], [exampleExecution("buy")]],
    ["when its order has an id in our form", true, [], held("long", "1"), [], [inOurForm]],
    ["when a part of it has", true, [], held("long", "2"), [], [inOurForm, byHand]],
    [
      "not when that was closed before",
      false,
      [],
      held("long", "1"),
      [],
      [inOurForm, stop, byHand],
    ],
    [
      "not when that trade has ended and the rest is by hand",
      false,
      [],
      held("long", "1"),
      [],
      [inOurForm, byHand, exampleExecution("sell", { clientOrderId: EXIT_OF_UNEXPLAINED })],
    ],
    [
      "not when a work explains it",
      false,
      [settled("1")],
      held("long", "2"),
      [],
      [exampleExecution("buy", { clientOrderId: OWN }), byHand],
    ],
    [
      "when an open order has an id in our form",
      true,
      [],
      undefined,
      [order({ clientOrderId: UNEXPLAINED })],
      [],
    ],
    ["not for an open order by hand", false, [], undefined, [order({ clientOrderId: "x" })], []],
  ])("%s", (...[, expected, works, position, orders, executions]) => {
    const seen = { symbol: SYMBOL, held: position, orders, executions };
    const exchange = { ...new ExampleExchange().exchange(), market: () => undefined };
    const deps = { config: () => exampleConfig, exchange };
    expect(couldBeOwn(deps, works, seen)).toBe(expected);
  });
});

describe("a position that nothing remembers is the bot's own by the id of what opened it", () => {
  const HOUR_MS = 3_600_000;
  const NOW_MS = Date.parse("2026-01-10T00:00:00Z");
  const deps = {
    config: () => exampleConfig,
    exchange: new ExampleExchange().exchange(),
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    monotonicMs: () => 0,
  };
  /** Bought so long ago, 20 s after the close of such a candle, by the bot with this uid. */
  function bought(
    ageMs: number,
    given: {
      readonly timeframe?: string;
      readonly botUid?: string;
      readonly leg?: "entry" | "exit";
    } = {},
  ) {
    const {
      timeframe = exampleConfig.timeframe,
      botUid = exampleConfig.botUid,
      leg = "entry",
    } = given;
    const stepMs = timeframe === "4h" ? 4 * HOUR_MS : 60_000;
    const closeMs = Math.floor((NOW_MS - ageMs) / stepMs) * stepMs;
    const reference = candleReference(closeMs - stepMs);
    const identity = { botUid, symbol: SYMBOL, timeframe, reference, leg, attempt: 0 };
    return exampleExecution("buy", { clientOrderId: orderId(identity), atMs: closeMs + 20_000 });
  }
  test.each<[string, boolean, Execution]>([
    ["17 hours ago, before the candles that are kept", true, bought(17 * HOUR_MS)],
    ["a year ago", true, bought(365 * 24 * HOUR_MS)],
    ["under another timeframe", true, bought(9 * 24 * HOUR_MS, { timeframe: "4h" })],
    ["not another bot's", false, bought(17 * HOUR_MS, { botUid: "another" })],
    ["not when the id is of another order", false, bought(17 * HOUR_MS, { leg: "exit" })],
    [
      "not when it is of another time",
      false,
      { ...bought(17 * HOUR_MS), atMs: NOW_MS - 16 * HOUR_MS },
    ],
  ])("%s", (...[, isOwn, opened]) => {
    const seen = { symbol: SYMBOL, held: held("long", "1"), orders: [], executions: [opened] };
    const found = findOrphan(deps, seen, []);
    expect(found?.entryId).toBe(isOwn ? opened.clientOrderId : undefined);
  });

  test.each([
    ["not beside the owner's share, when what nobody can explain may have taken it", "1", false],
    ["with what is left beside the owner's share", "1.5", true],
  ])("%s", (...[, units, isOwn]) => {
    const opened = bought(17 * HOUR_MS);
    const byHand = exampleExecution("buy", { executionId: "2", atMs: opened.atMs + 1 });
    const unknown = exampleExecution("sell", { cause: "unknown", atMs: opened.atMs + 2 });
    const executions = [opened, byHand, unknown];
    const seen = { symbol: SYMBOL, held: held("long", units), orders: [], executions };
    const candleMs = opened.atMs - 20_000 - timeframeMs(exampleConfig.timeframe);
    expect(findOrphan(deps, seen, [candleMs]) !== undefined).toBe(isOwn);
    expect(couldBeOwn(deps, [], seen)).toBe(isOwn);
  });

  test("an order of its own that may still open one, too", () => {
    const { clientOrderId, atMs } = bought(17 * HOUR_MS);
    const orders = [order({ clientOrderId, createdMs: atMs })];
    const seen = { symbol: SYMBOL, held: undefined, orders, executions: [] };
    expect(findOrphan(deps, seen, [])?.entryId).toBe(clientOrderId);
  });
});

test("what the journal remembers becomes work, each entry once and only of the symbol", () => {
  const intent: Intent = {
    clientOrderId: OWN,
    attempt: 0,
    symbol: SYMBOL,
    side: "buy",
    quantity: "1",
    leverage: 10,
    stopLoss: "99",
    takeProfit: "102",
    candleOpenTime: "2025-06-18T00:00:00Z",
    confidence: 80,
    at: "2025-06-18T00:01:00Z",
  };
  const other = "22222222-2222-8222-8222-222222222222";
  const works = rememberedWork(
    {
      epoch: 2,
      lastSequence: 0,
      openTrades: [trade],
      openIntents: [
        intent,
        { ...intent, clientOrderId: other, side: "sell" },
        { ...intent, symbol: "ETH/USDT:USDT" },
      ],
      dayBaseline: null,
      realised: "0",
      errors: null,
      requests: [],
    },
    SYMBOL,
    1_000,
  );
  expect(works).toMatchObject([
    { entryId: OWN, side: "long", adopted: true, filled: true, takenUpMs: 1_000 },
    { entryId: other, side: "short", adopted: true, filled: false, takenUpMs: 1_000 },
  ]);
});
