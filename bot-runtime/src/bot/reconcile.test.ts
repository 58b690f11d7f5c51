import type { Intent, Trade } from "@tradingbots/crds";
import { describe, expect, test } from "vitest";
import type { HeldPosition, OrderView } from "../exchange/exchange.ts";
import { amount, price, quantity } from "../money.ts";
import { foreignHolding, rememberedWork } from "./reconcile.ts";
import { type Work, workFromTrade } from "./work.ts";

const SYMBOL = "BTC/USDT:USDT";
const OWN = "11111111-1111-8111-8111-111111111111";

const trade: Trade = {
  id: OWN,
  symbol: SYMBOL,
  side: "long",
  quantity: "1",
  entryPrice: "100",
  exitPrice: null,
  pnl: null,
  fees: "0",
  openedAt: "2025-06-18T00:00:00Z",
  closedAt: null,
  reason: null,
};

/** A work that has settled with `open` still held. */
function settled(open: string): Work {
  const work = workFromTrade(trade);
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
    ["while an entry may still fill", [workFromTrade(trade)], held("long", "1"), [], undefined],
    [
      "its own order",
      [workFromTrade(trade)],
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
    },
    SYMBOL,
    1_000,
  );
  expect(works).toMatchObject([
    { entryId: OWN, side: "long", adopted: true, filled: true, sentMs: 1_000 },
    { entryId: other, side: "short", adopted: true, filled: false, sentMs: 1_000 },
  ]);
});
