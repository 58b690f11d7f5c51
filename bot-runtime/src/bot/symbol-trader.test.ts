import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type {
  Exchange,
  Execution,
  HeldPosition,
  LookUps,
  OrderView,
} from "../exchange/exchange.ts";
import { amount, price, quantity } from "../money.ts";
import { candleReference, orderId, requestedEntryId } from "../orders/order-id.ts";
import {
  exampleCandles,
  exampleExecution,
  exampleIntent,
  exampleKey,
  exampleMarket,
  exampleSession,
  exampleTrade,
  NEWEST,
  OTHER_SYMBOL,
  startExampleBot,
  SYMBOL,
} from "./example-bot.ts";
import { exampleConfig } from "./example-config.ts";
import { startExampleHolder } from "./example-holder.ts";
import { isToCloseBy } from "./symbol-trader.ts";

// What the exchange shows here has just happened.
beforeEach(() => void vi.useFakeTimers({ now: 0 }));
afterEach(() => void vi.useRealTimers());

/** Lets `ms` pass and whatever waits for it happen. */
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const never = async (): Promise<never> => new Promise(() => undefined);

const held: HeldPosition = {
  symbol: SYMBOL,
  side: "long",
  quantity: quantity("1"),
  entryPrice: price("100"),
  unrealisedPnl: amount("0"),
  stopLoss: price("99"),
  takeProfit: price("102"),
  liquidationPrice: undefined,
};

const filledEntry: OrderView = {
  clientOrderId: exampleTrade(SYMBOL).id,
  exchangeOrderId: "o1",
  side: "sell",
  quantity: quantity("1"),
  filledQuantity: quantity("1"),
  status: "filled",
  isProtection: false,
  createdMs: 0,
};

const halt = (action: "CancelOrders" | "Flatten", symbols: string[] | null) => ({
  halts: [{ name: "everything", uid: "u", action, symbols }],
  generation: 2,
});

/** A bot that holds a position which the journal remembers. */
async function holdingBot(exchange: Partial<Exchange> = {}) {
  const submitExit = vi.fn<Exchange["submitExit"]>(async () => ({
    kind: "accepted",
    exchangeOrderId: "x",
  }));
  const it = startExampleBot({ exchange: { submitExit, ...exchange } });
  const trade = exampleTrade(SYMBOL);
  it.shown.held = held;
  it.shown.executions = [exampleExecution("buy", { clientOrderId: trade.id })];
  it.grantSession({ ...exampleSession, openTrades: [trade] });
  await pass(1_000);
  expect(it.lastReport()).toMatchObject({ flat: false, protected: true });
  return { ...it, submitExit, trade };
}

describe("a Flatten closes within a second", () => {
  test("while candles, balance and the day's beginning never come", async () => {
    const { bot, config, submitExit } = await holdingBot({ candles: never, balance: never });
    bot.applyConfig({ ...config, ...halt("Flatten", null) });
    await pass(1_000);
    expect(submitExit).toHaveBeenCalledTimes(1);
  });

  test("on its symbols, and on no other", async () => {
    const { bot, config, submitExit } = await holdingBot();
    bot.applyConfig({ ...config, ...halt("Flatten", [OTHER_SYMBOL]) });
    await pass(5_000);
    expect(submitExit).not.toHaveBeenCalled();
    bot.applyConfig({ ...config, ...halt("Flatten", [SYMBOL]), generation: 3 });
    await pass(1_000);
    expect(submitExit).toHaveBeenCalledTimes(1);
  });

  test("soon after the exchange was unavailable", async () => {
    let down = false;
    const { bot, config, submitExit } = await holdingBot({
      position: async () => {
        if (down)
          throw Object.assign(new Error("down"), {
            name: "ExchangeFault",
            fault: "Unavailable",
            code: "503",
          });
        return { leverage: 10, held };
      },
    });
    down = true;
    await pass(60_000);
    down = false;
    bot.applyConfig({ ...config, ...halt("Flatten", null) });
    await pass(3_000);
    expect(submitExit).toHaveBeenCalledTimes(1);
  });
});

describe("what cannot wait does not wait for a look that hangs:", () => {
  const unavailable = Object.assign(new Error("timed out"), {
    name: "ExchangeFault",
    fault: "Unavailable",
    code: "RequestTimeout",
  });

  /** A bot whose polls come to nothing after 8 s, as those of a half-dead connection. */
  async function botThatPolls(side: "long" | "short") {
    const trade = { ...exampleTrade(SYMBOL), side };
    const clientOrderId = trade.id;
    const opened = exampleExecution(side === "long" ? "buy" : "sell", { clientOrderId });
    const [stopLoss, takeProfit] = side === "long" ? ["99", "102"] : ["101", "98"];
    const shown = { ...held, side, stopLoss: price(stopLoss), takeProfit: price(takeProfit) };
    const urgent: LookUps = {
      position: async () => ({ leverage: 10, held: shown }),
      openOrders: async () => [],
      findOrder: async () => undefined,
      executions: async () => [opened],
    };
    const timing = { hangs: false };
    const position: LookUps["position"] = (symbol) =>
      timing.hangs
        ? new Promise((_, reject) => void setTimeout(() => reject(unavailable), 8_000))
        : urgent.position(symbol);
    const submitExit = vi.fn<Exchange["submitExit"]>(async () => ({
      kind: "accepted",
      exchangeOrderId: "x",
    }));
    const it = startExampleBot({ exchange: { ...urgent, position, urgent, submitExit } });
    it.grantSession({ ...exampleSession, openTrades: [trade] });
    await pass(1_000);
    timing.hangs = true;
    await pass(1_000);
    return { ...it, submitExit };
  }
  type Polling = Awaited<ReturnType<typeof botThatPolls>>;

  test.each<[string, "long" | "short", (it: Polling) => void]>([
    ["a stop", "long", ({ bot, config }) => bot.applyConfig({ ...config, state: "Stopped" })],
    [
      "a Flatten",
      "long",
      ({ bot, config }) => bot.applyConfig({ ...config, ...halt("Flatten", null) }),
    ],
    ["a signal", "short", ({ closeCandle }) => closeCandle()],
  ])("%s closes within 0.1 s", async (...[, side, order]) => {
    const it = await botThatPolls(side);
    expect(it.submitExit).not.toHaveBeenCalled();
    order(it);
    await pass(100);
    expect(it.submitExit).toHaveBeenCalledTimes(1);
  });

  test("but a position that is to stay is polled on, with pauses", async () => {
    const it = await botThatPolls("long");
    it.bot.applyConfig({ ...it.config, generation: 2 });
    await pass(30_000);
    expect(it.submitExit).not.toHaveBeenCalled();
    expect(it.metrics.value("bot_turn_failures_total")).toBe(3);
  });
});

/** A bot with a short, at an exchange that fills at once. */
async function shortBot() {
  const sent: string[] = [];
  const page = [...(await exampleCandles())];
  const closes = { cause: "order" as const, atMs: 2 };
  const it = startExampleBot({
    exchange: {
      candles: async ({ sinceMs = 0 }) => page.filter(({ openTimeMs }) => openTimeMs >= sinceMs),
      findOrder: async ({ clientOrderId }) =>
        clientOrderId === exampleTrade(SYMBOL).id ? filledEntry : undefined,
      submitExit: async ({ clientOrderId, side }) => {
        sent.push(`exit ${side}`);
        end({ ...closes, clientOrderId });
        return { kind: "accepted", exchangeOrderId: "x" };
      },
      submitEntry: async ({ side }) => {
        sent.push(`entry ${side}`);
        return { kind: "accepted", exchangeOrderId: "y" };
      },
    },
  });
  const end = (change: Partial<Execution>) => {
    it.shown.held = undefined;
    it.shown.executions = [...it.shown.executions, exampleExecution("buy", change)];
  };
  const trade = { ...exampleTrade(SYMBOL), side: "short" } as const;
  it.shown.held = { ...held, side: "short", stopLoss: price("101"), takeProfit: price("98") };
  it.shown.executions = [exampleExecution("sell", { clientOrderId: trade.id, atMs: 1 })];
  it.grantSession({ ...exampleSession, openTrades: [trade] });
  await pass(1_000);
  return { ...it, sent, end, page };
}

test("a candle of the stream closes what somebody asked for before its fill is known; a missed one does not", () => {
  const work = startExampleHolder().sentEntry({ byRequest: true });
  const proposal = { enter: undefined, exit: "long", confidence: 0, note: "" } as const;
  expect(isToCloseBy({ proposal }, work)).toBe(true);
  expect(isToCloseBy({ proposal, missedCloseMs: 0 }, work)).toBe(false);
});

describe("a candle at which a short is open and the strategy wants to be long", () => {
  test("closes it, and opens nothing: the next one may", async () => {
    const { closeCandle, sent } = await shortBot();
    closeCandle();
    await pass(2_000);
    expect(sent).toEqual(["exit buy"]);
    closeCandle(NEWEST + 1);
    await pass(2_000);
    expect(sent).toEqual(["exit buy", "entry buy"]);
  });

  test("closes nothing in a pod that was replaced: its successor's strategy decides", async () => {
    const { closeCandle, journal, sent } = await shortBot();
    journal.standing = "stale";
    closeCandle();
    await pass(5_000);
    expect(sent).toEqual([]);
  });

  test("opens a long where the stop had closed it just before", async () => {
    const { closeCandle, sent, end } = await shortBot();
    end({ cause: "stop", atMs: 2 });
    closeCandle();
    await pass(2_000);
    expect(sent).toEqual(["entry buy"]);
  });

  test("closes it when its closing message is lost, at the first sign of the next", async () => {
    const { bot, sent, page } = await shortBot();
    const [next] = page.slice(-1);
    if (next === undefined) throw new Error("no candle");
    const candle = { ...next, openTimeMs: next.openTimeMs + 60_000 };
    page.push(candle);
    const seen = { symbol: SYMBOL, candle, closed: false };
    for (let push = 0; push < 3; push += 1) {
      bot.candleArrived({ ...seen, sentAtMs: Date.now() });
      await pass(500);
    }
    expect(sent).toEqual(["exit buy"]);
  });
});

/** Candles fall, which closes shorts, unless `candles` are others. */
function botThatTakesUp(
  trade: { readonly id: string; readonly side: "long" | "short" },
  exchange: Partial<Exchange> = {},
) {
  const submitExit = vi.fn<Exchange["submitExit"]>(async () => ({
    kind: "accepted",
    exchangeOrderId: "x",
  }));
  const it = startExampleBot({ exchange: { submitExit, ...exchange } });
  const isLong = trade.side === "long";
  const opened = exampleExecution(isLong ? "buy" : "sell", { clientOrderId: trade.id });
  it.shown.executions = [opened];
  it.shown.held = isLong
    ? held
    : { ...held, side: "short", stopLoss: price("101"), takeProfit: price("98") };
  const session = { ...exampleSession, openTrades: [{ ...exampleTrade(SYMBOL), ...trade }] };
  return { ...it, submitExit, takeUp: () => it.grantSession(session) };
}

/** Id of the entry that this candle leads to. */
function ofCandle(minute: number): string {
  const { botUid, timeframe } = exampleConfig;
  const reference = candleReference(minute * 60_000);
  return orderId({ botUid, symbol: SYMBOL, timeframe, reference, leg: "entry", attempt: 0 });
}

test.each([
  ["ready", 1],
  ["stale", 0],
] as const)(
  "what only the exchange knows is taken up while the journal is %s",
  async (standing, adopted) => {
    const { shown, journal, records, grantSession } = startExampleBot();
    grantSession();
    await pass(1_000);
    journal.standing = standing;
    shown.held = { ...held, side: "short", stopLoss: price("101"), takeProfit: price("98") };
    shown.executions = [exampleExecution("sell", { clientOrderId: ofCandle(10) })];
    await pass(60_000);
    const events = records.filter((body) => body.type === "event" && body.kind === "adopted");
    expect(events.length).toBe(adopted);
  },
);

describe("a process that takes up a position hears once what the strategy says at the newest close:", () => {
  const { botUid } = exampleConfig;

  test.each([
    ["out, after the entry's candle", { id: ofCandle(10), side: "short" }, true],
    ["out, at the entry's own candle", { id: ofCandle(NEWEST - 1), side: "short" }, false],
    ["out of the other side", { id: ofCandle(10), side: "long" }, false],
    [
      "out, and nobody knows whether it said so before the entry was asked for",
      { id: requestedEntryId({ botUid, symbol: SYMBOL }, "r"), side: "short" },
      false,
    ],
  ] as const)("%s", async (_, trade, isClosed) => {
    const { takeUp, submitExit } = botThatTakesUp(trade);
    takeUp();
    await pass(5_000);
    expect(submitExit.mock.calls.length > 0).toBe(isClosed);
  });

  test("also when the journal answers after the candles have come", async () => {
    const { takeUp, submitExit, records } = botThatTakesUp({ id: ofCandle(10), side: "short" });
    await pass(2_000);
    takeUp();
    await pass(5_000);
    expect(submitExit).toHaveBeenCalled();
    expect(records).toContainEqual(expect.objectContaining({ type: "event", kind: "closing" }));
  });

  test("a strategy that is changed later waits for its next close", async () => {
    let falls = false;
    const candles = async () => {
      const falling = await exampleCandles();
      return falls
        ? falling
        : falling.map((candle, index) => ({
            ...candle,
            close: price(index % 2 ? "1000" : "1001"),
          }));
    };
    const trade = { id: ofCandle(10), side: "short" } as const;
    const { takeUp, submitExit, bot, config } = botThatTakesUp(trade, { candles });
    takeUp();
    await pass(5_000);
    falls = true;
    const strategy = { ...config.strategy, params: { period: 3 } };
    bot.applyConfig({ ...config, strategy, generation: 2 });
    await pass(5_000);
    expect(submitExit).not.toHaveBeenCalled();
  });
});

test("a turn that does not end is told within a minute, and ends the process after five", async () => {
  let hangs = false;
  const position = async () => (hangs ? never() : { leverage: 10, held });
  const it = await holdingBot({ position });
  const blocks = () => it.lastReport()?.blocked.map(({ reason }) => reason);
  hangs = true;
  await pass(58_000);
  expect(blocks()).not.toContain("TurnHangs");
  await pass(5_000);
  expect(blocks()).toContain("TurnHangs");
  expect(it.metrics.print()).toMatch(/bot_turn_age_seconds\{symbol=".*"\} 6\d/);
  await pass(230_000);
  expect(it.bot.alive).toBe(true);
  await pass(15_000);
  expect(it.bot.alive).toBe(false);
});

describe.each([1, 2, 3])("when look %i after it fails, a signal closes:", (nth) => {
  const unavailable = Object.assign(new Error("down"), {
    name: "ExchangeFault",
    fault: "Unavailable",
    code: "503",
  });
  type Example = ReturnType<typeof startExampleBot>;
  const trade = { ...exampleTrade(SYMBOL), side: "short" } as const;
  const grant = ({ grantSession }: Example) =>
    grantSession({ ...exampleSession, openTrades: [trade] });

  test.each<[string, (it: Example) => void, (it: Example) => void]>([
    [
      "that of a candle which waited for the one before",
      grant,
      ({ closeCandle }) => closeCandle(NEWEST + 1),
    ],
    [
      "that of a candle which came just before the journal's answer",
      () => undefined,
      (it) => {
        it.closeCandle();
        grant(it);
      },
    ],
  ])("%s", async (...[, before, signal]) => {
    let looksLeft = Infinity;
    const submitExit = vi.fn<Exchange["submitExit"]>(async () => ({
      kind: "accepted",
      exchangeOrderId: "x",
    }));
    const position: Exchange["position"] = async () => {
      looksLeft -= 1;
      if (looksLeft === 0) throw unavailable;
      return { leverage: 10, held: it.shown.held };
    };
    const it = startExampleBot({ exchange: { submitExit, position } });
    const levels = { stopLoss: price("101"), takeProfit: price("98") };
    it.shown.held = { ...held, side: "short", ...levels };
    it.shown.executions = [exampleExecution("sell", { clientOrderId: trade.id })];
    before(it);
    await pass(1_000);
    expect(submitExit).not.toHaveBeenCalled();
    looksLeft = nth;
    signal(it);
    await pass(5_000);
    expect(looksLeft).toBeLessThanOrEqual(0);
    expect(submitExit).toHaveBeenCalled();
  });
});

/** Shows the entry of the example trade as filled. */
const findOrder: Exchange["findOrder"] = async ({ clientOrderId }) => {
  const found = { exchangeOrderId: "o", side: "buy", isProtection: false } as const;
  const one = { quantity: quantity("1"), filledQuantity: quantity("1") };
  const isEntry = clientOrderId === exampleTrade(SYMBOL).id;
  return isEntry ? { ...found, ...one, clientOrderId, status: "filled", createdMs: 0 } : undefined;
};

const fundedMarket = (symbol: string) => ({ ...exampleMarket(symbol), isFunded: true });

/** A bot whose position has just ended, this long after a funding time at which it was held, or not. */
async function closedBot(openedMs: number, closedMs: number) {
  const submitEntry = vi.fn<Exchange["submitEntry"]>(async () => ({
    kind: "refused",
    code: "1",
    message: "no",
    final: true,
  }));
  const it = await holdingBot({ market: fundedMarket, findOrder, submitEntry });
  const clientOrderId = it.trade.id;
  const executions = [
    exampleExecution("buy", { clientOrderId, atMs: openedMs }),
    exampleExecution("sell", { cause: "target", price: price("102"), atMs: closedMs }),
  ];
  it.shown.held = undefined;
  it.shown.executions = executions;
  await pass(3_000);
  const told = () => it.records.findLast((body) => body.type === "trade")?.trade;
  return { ...it, executions, told, submitEntry };
}

describe("funding that the executions show after the closing one", () => {
  const EVERY_MS = 8 * 3_600_000;
  const funding = exampleExecution("buy", {
    executionId: "funding",
    cause: "funding",
    fee: amount("0.25"),
    atMs: EVERY_MS,
  });

  test("is part of the trade, which is told as closed when it is there", async () => {
    const it = await closedBot(EVERY_MS - 60_000, EVERY_MS + 2_000);
    await pass(20_000);
    // A process that dies now leaves it to the next one.
    expect(it.told()).toMatchObject({ closedAt: null, pnl: null });
    expect(it.lastReport()?.flat).toBe(false);
    it.shown.executions = [...it.executions, funding];
    await pass(7_000);
    expect(it.records.filter(({ type }) => type === "funding")).toMatchObject([
      { executionId: "funding", tradeId: it.trade.id, amount: "-0.25" },
    ]);
    expect(it.told()).toMatchObject({ pnl: "1.75", funding: "-0.25", reason: "target" });
    expect(it.lastReport()?.flat).toBe(true);
  });

  test("is waited for a minute after its time, and no entry waits for it", async () => {
    const it = await closedBot(EVERY_MS - 60_000, EVERY_MS + 2_000);
    it.closeCandle();
    await pass(1_000);
    expect(it.submitEntry).toHaveBeenCalledTimes(1);
    await pass(50_000);
    expect(it.told()?.closedAt).toBeNull();
    await pass(15_000);
    expect(it.told()).toMatchObject({ pnl: "2", funding: "0", reason: "target" });
    expect(it.lastReport()?.flat).toBe(true);
  });

  test("is waited for at any full hour: an interval of eight hours may have been shortened since it was read", async () => {
    const hourMs = EVERY_MS + 2 * 3_600_000;
    const it = await closedBot(hourMs - 600_000, hourMs + 20_000);
    await pass(27_000);
    expect(it.told()?.closedAt).toBeNull();
    it.shown.executions = [...it.executions, { ...funding, atMs: hourMs }];
    await pass(7_000);
    expect(it.told()).toMatchObject({ pnl: "1.75", funding: "-0.25", reason: "target" });
  });

  test.each([
    ["opened after it", EVERY_MS + 10_000, EVERY_MS + 20_000],
    ["closed before it", EVERY_MS - 60_000, EVERY_MS - 10_000],
    ["closed long after it", EVERY_MS - 60_000, EVERY_MS + 120_000],
  ])("is not waited for by a trade that was %s", async (...[, openedMs, closedMs]) => {
    const it = await closedBot(openedMs, closedMs);
    expect(it.told()).toMatchObject({ pnl: "2" });
    expect(it.lastReport()?.flat).toBe(true);
  });
});

const stray = {
  clientOrderId: undefined,
  exchangeOrderId: "stop-1",
  side: "sell",
  quantity: quantity("1"),
  filledQuantity: quantity("0"),
  status: "open",
  isProtection: true,
  createdMs: 0,
} as const;

/** How often the bot cancels when its position has ended at 1 ms and `orders` are shown, a minute long. */
async function cancelledAfterEnd(orders: readonly OrderView[], later?: Partial<HeldPosition>) {
  const cancelPlaced = vi.fn<Exchange["cancelPlaced"]>(async () => ({
    kind: "refused",
    code: "1",
    message: "no",
    final: true,
  }));
  const it = await holdingBot({ cancelPlaced });
  it.shown.executions = [
    ...it.shown.executions,
    exampleExecution("sell", { cause: "target", atMs: 1 }),
  ];
  it.shown.held = undefined;
  it.shown.orders = orders;
  // Its entry, whose order is not shown, is over after 20 s, by its executions.
  await pass(38_000);
  expect(cancelPlaced).not.toHaveBeenCalled();
  if (later !== undefined) it.shown.held = { ...held, ...later };
  await pass(22_000);
  return cancelPlaced.mock.calls.length;
}

describe("an order that shows a stop without a position", () => {
  test("is cancelled where a position of the bot's has ended", async () => {
    const cancelPlaced = vi.fn<Exchange["cancelPlaced"]>(async () => ({
      kind: "accepted",
      exchangeOrderId: "stop-1",
    }));
    const it = await holdingBot({ cancelPlaced });
    it.shown.executions = [
      ...it.shown.executions,
      exampleExecution("sell", { cause: "target", atMs: 1 }),
    ];
    it.shown.held = undefined;
    it.shown.orders = [stray];
    await pass(60_000);
    expect(cancelPlaced).toHaveBeenCalledWith({ symbol: SYMBOL, exchangeOrderId: "stop-1" });
  });

  test("is cancelled when it stays for 20 s, again every 5 s when that is refused", async () => {
    expect([4, 5]).toContain(await cancelledAfterEnd([stray]));
  });

  test("is left alone when it is newer than the end: it is of what somebody else has opened", async () => {
    expect(await cancelledAfterEnd([{ ...stray, createdMs: 1 }])).toBe(0);
  });

  test("is left alone when its position is shown late", async () => {
    expect(await cancelledAfterEnd([stray], { quantity: quantity("3") })).toBe(0);
  });

  test("is left alone after an entry that the exchange never received", async () => {
    const cancelPlaced = vi.fn<Exchange["cancelPlaced"]>();
    const it = startExampleBot({ exchange: { cancelPlaced } });
    it.shown.orders = [{ ...stray, createdMs: -1 }];
    it.grantSession({ ...exampleSession, openIntents: [exampleIntent(SYMBOL)] });
    await pass(700_000);
    expect(it.ordersRecorded().at(-1)).toMatchObject({ status: "cancelled", code: "NotFound" });
    expect(cancelPlaced).not.toHaveBeenCalled();
  });

  test("is left alone where the bot never had one", async () => {
    const cancelPlaced = vi.fn<Exchange["cancelPlaced"]>();
    const it = startExampleBot({ exchange: { cancelPlaced } });
    it.shown.orders = [stray];
    it.grantSession();
    await pass(120_000);
    expect(cancelPlaced).not.toHaveBeenCalled();
  });
});

test("what somebody else holds costs one question for executions at each look, back to when nothing was held", async () => {
  const executions = vi.fn<Exchange["executions"]>(async () => []);
  const it = startExampleBot({ exchange: { executions } });
  it.grantSession();
  await pass(60_000);
  expect(executions).not.toHaveBeenCalled();
  const openedMs = Date.now();
  it.shown.held = held;
  await pass(60_000);
  expect(it.lastReport()?.blocked.map(({ reason }) => reason)).toContain("ForeignPosition");
  const looks = executions.mock.calls.length;
  expect(looks).toBeGreaterThanOrEqual(5);
  expect(looks).toBeLessThanOrEqual(13);
  for (const [{ sinceMs }] of executions.mock.calls) {
    expect(sinceMs).toBeLessThan(openedMs - 540_000);
    expect(sinceMs).toBeGreaterThan(openedMs - 700_000);
  }
});

test("a closing that waits while the exchange answers late is told, and sent once it answers in time", async () => {
  let answersAfterMs = 0;
  const executions: Exchange["executions"] = async () => {
    await new Promise((resolve) => void setTimeout(resolve, answersAfterMs));
    return [exampleExecution("buy", { clientOrderId: exampleTrade(SYMBOL).id })];
  };
  const { bot, config, journal, submitExit, lastReport } = await holdingBot({ executions });
  const reasons = () => lastReport()?.blocked.map(({ reason }) => reason);
  journal.leaseMs = 0;
  answersAfterMs = 4_000;
  bot.applyConfig({ ...config, state: "Stopped", generation: 2 });
  await pass(20_000);
  expect(submitExit).not.toHaveBeenCalled();
  expect(reasons()).toContain("ExitWaits");
  answersAfterMs = 0;
  await pass(6_000);
  expect(submitExit).toHaveBeenCalledTimes(1);
  expect(reasons()).not.toContain("ExitWaits");
});

test("a key of another account that is the right one again: the position is managed as before", async () => {
  const { bot, config, submitExit, lastReport } = await holdingBot({ findOrder });
  bot.applyConfig({ ...config, exchangeAccountId: "another", generation: 2 });
  await pass(2_000);
  expect(lastReport()?.blocked.map(({ reason }) => reason)).toContain("PositionUnknown");
  bot.applyConfig({ ...config, exchangeAccountId: exampleKey.accountId ?? null, generation: 3 });
  await pass(6_000);
  expect(lastReport()?.blocked.map(({ reason }) => reason)).not.toContain("PositionUnknown");
  bot.applyConfig({ ...config, state: "Stopped", generation: 4 });
  await pass(6_000);
  expect(submitExit).toHaveBeenCalledTimes(1);
});

test("a key whose account the exchange does not name opens nothing, and closes what is open", async () => {
  const { bot, config, submitExit, lastReport } = await holdingBot({
    describeKey: async () => ({ ...exampleKey, accountId: undefined }),
  });
  bot.applyConfig({ ...config, exchangeAccountId: "one", generation: 2 });
  await pass(2_000);
  expect(lastReport()?.blocked.map(({ reason }) => reason)).toEqual(["WrongAccount"]);
  bot.applyConfig({ ...config, exchangeAccountId: "one", state: "Stopped", generation: 3 });
  await pass(2_000);
  expect(submitExit).toHaveBeenCalledTimes(1);
});

test("a key of another account: what the journal remembers is unknown, and nothing is closed", async () => {
  const submitExit = vi.fn<Exchange["submitExit"]>();
  const it = startExampleBot({
    exchange: { submitExit },
    config: { exchangeAccountId: "another", state: "Stopped" },
  });
  it.shown.held = held;
  it.grantSession({ ...exampleSession, openTrades: [exampleTrade(SYMBOL)] });
  await pass(60_000);
  expect(it.lastReport()?.flat).toBe(false);
  expect(it.lastReport()?.blocked.map(({ reason }) => reason)).toContain("PositionUnknown");
  expect(submitExit).not.toHaveBeenCalled();
});
