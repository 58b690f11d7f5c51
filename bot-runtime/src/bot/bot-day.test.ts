import { type RecordBody, SessionAnswer } from "@tradingbots/crds";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { JournalModel } from "../../test/journal-model.ts";
import type { Candle, Exchange, Execution, HeldPosition } from "../exchange/exchange.ts";
import { amount, price, quantity } from "../money.ts";
import {
  exampleExecution,
  exampleIntent,
  exampleSession,
  exampleTrade,
  OTHER_SYMBOL,
  startExampleBot,
  SYMBOL,
} from "./example-bot.ts";

// What the exchange shows here has just happened.
beforeEach(() => void vi.useFakeTimers({ now: 0 }));
afterEach(() => void vi.useRealTimers());

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

const MINUTE = 60_000;
/** Of candle time: the candle that opens in this minute closes at midnight. */
const LAST_OF_DAY = 24 * 60 - 1;

/** A price that does not move: the strategy wants nothing. */
function candle(minute: number): Candle {
  const at = price("100");
  return { openTimeMs: minute * MINUTE, open: at, high: at, low: at, close: at };
}

/** An exchange on which OTHER_SYMBOL is held; what it shows is changed by a test. */
function exchangeWithPosition(newest: number) {
  const opened: Execution = exampleExecution("buy", {
    clientOrderId: exampleTrade(OTHER_SYMBOL).id,
    fee: amount("0.06"),
    atMs: 1,
  });
  const shown = { unrealised: "-30", isOpen: true, newest, executions: [opened], hidden: false };
  const position = async (symbol: string): ReturnType<Exchange["position"]> => {
    const held: HeldPosition = {
      symbol,
      side: "long",
      quantity: quantity("1"),
      entryPrice: price("100"),
      unrealisedPnl: amount(shown.unrealised),
      stopLoss: price("99"),
      takeProfit: price("102"),
      liquidationPrice: undefined,
    };
    return { leverage: 10, held: symbol === OTHER_SYMBOL && shown.isOpen ? held : undefined };
  };
  const executions: Exchange["executions"] = async ({ symbol }) =>
    symbol === OTHER_SYMBOL ? shown.executions : [];
  const found = { exchangeOrderId: "o1", side: "buy", isProtection: false, createdMs: 1 } as const;
  const one = { quantity: quantity("1"), filledQuantity: quantity("1"), status: "filled" } as const;
  const findOrder: Exchange["findOrder"] = async ({ clientOrderId }) =>
    clientOrderId === exampleTrade(OTHER_SYMBOL).id && !shown.hidden
      ? { clientOrderId, ...found, ...one }
      : undefined;
  const lookUps = { position, executions, findOrder, openOrders: async () => [] };
  const candles: Exchange["candles"] = async ({ sinceMs = 0 }) =>
    Array.from({ length: 60 }, (_, index) => candle(shown.newest - 59 + index)).filter(
      ({ openTimeMs }) => openTimeMs >= sinceMs,
    );
  /** The stop fills: −1 of the price, and a fee. */
  const stopFills = () => {
    shown.isOpen = false;
    shown.executions = [
      opened,
      exampleExecution("sell", {
        cause: "stop",
        price: price("99"),
        fee: amount("0.0594"),
        atMs: 2,
      }),
    ];
  };
  return { shown, stopFills, exchange: { ...lookUps, urgent: lookUps, candles } };
}

const remembering: SessionAnswer = {
  ...exampleSession,
  openTrades: [{ ...exampleTrade(OTHER_SYMBOL), fees: "0.06" }],
};

/** A bot of two symbols, the second of which it holds, at this candle. */
async function started(newest: number, session: SessionAnswer = remembering) {
  const market = exchangeWithPosition(newest);
  const it = startExampleBot({
    config: { symbols: [SYMBOL, OTHER_SYMBOL] },
    exchange: market.exchange,
  });
  it.grantSession(session);
  await pass(1_000);
  const baselines = () => it.records.filter((body) => body.type === "day-baseline");
  const trades = () => it.records.filter((body) => body.type === "trade");
  const dayResult = async () => {
    await pass(10_000);
    return it.lastReport()?.dayResult;
  };
  const closeCandle = async () => {
    for (const symbol of [SYMBOL, OTHER_SYMBOL])
      it.bot.candleArrived({
        symbol,
        candle: candle(market.shown.newest),
        closed: true,
        sentAtMs: Date.now(),
      });
    market.shown.newest += 1;
    await pass(1_000);
  };
  return { ...it, ...market, baselines, trades, dayResult, closeCandle };
}

describe("a day of several symbols", () => {
  test("does not begin before the one that may hold something has been looked at", async () => {
    const { shown, exchange } = exchangeWithPosition(600);
    const { promise, resolve } = Promise.withResolvers<void>();
    const position: Exchange["position"] = async (symbol) => {
      if (symbol === OTHER_SYMBOL) await promise;
      return exchange.position(symbol);
    };
    const lookUps = { ...exchange.urgent, position };
    const it = startExampleBot({
      config: { symbols: [SYMBOL, OTHER_SYMBOL] },
      exchange: { ...exchange, ...lookUps, urgent: lookUps },
    });
    it.grantSession({ ...remembering, realised: "7" });
    await pass(60_000);
    expect(it.records.filter((body) => body.type === "day-baseline")).toEqual([]);
    expect(it.lastReport()?.blocked.map(({ reason }) => reason)).toContain("NoDayBaseline");
    shown.unrealised = "20";
    resolve();
    await pass(1_000);
    // A process that was not there at midnight: what was gained before it came does not count.
    expect(it.records.filter((body) => body.type === "day-baseline")).toMatchObject([
      { day: "1970-01-01", equity: "10000", startsFrom: "26.94" },
    ]);
    expect(it.lastReport()?.dayResult).toBe("0");
  });

  test("a loss that was there before the process came counts", async () => {
    const it = await started(600);
    expect(it.baselines()).toMatchObject([{ startsFrom: "0" }]);
    expect(await it.dayResult()).toBe("-30.06");
  });
});

describe("midnight with an open position", () => {
  test("begins a day that knows nothing of the day before", async () => {
    const it = await started(LAST_OF_DAY);
    expect(await it.dayResult()).toBe("-30.06");
    await it.closeCandle();
    expect(it.baselines().map(({ day, startsFrom }) => [day, startsFrom])).toEqual([
      ["1970-01-01", "0"],
      ["1970-01-02", "-30.06"],
    ]);
    expect(await it.dayResult()).toBe("0");
    it.shown.unrealised = "-0.5";
    expect(await it.dayResult()).toBe("29.5");
    it.stopFills();
    // −1 − 0.06 − 0.0594 of the whole trade, of which −30.06 stood at midnight.
    expect(await it.dayResult()).toBe("28.9406");
  });

  test("is the same without the journal, which gets the day's beginning when it is back", async () => {
    const it = await started(LAST_OF_DAY);
    it.journal.standing = "unavailable";
    await it.closeCandle();
    expect(await it.dayResult()).toBe("0");
    expect(it.lastReport()?.blocked.map(({ reason }) => reason)).toEqual(["JournalUnavailable"]);
    it.journal.standing = "ready";
    await pass(10_000);
    expect(it.baselines().at(-1)).toMatchObject({ day: "1970-01-02", startsFrom: "-30.06" });
    expect(it.lastReport()?.blocked).toEqual([]);
  });
});

/** What the journal would tell the next process. */
function sessionAfter(it: Awaited<ReturnType<typeof started>>, realised: string): SessionAnswer {
  const { day, equity, startsFrom } = it.baselines().at(-1) ?? {
    day: "",
    equity: "",
    startsFrom: "",
  };
  return { ...exampleSession, epoch: 2, realised, dayBaseline: { day, equity, startsFrom } };
}

/** A journal that knows an entry of OTHER_SYMBOL, and its pod. */
function journalWithEntry(clientOrderId: string) {
  const model = new JournalModel({ nowMs: () => 0 });
  const session = () => SessionAnswer.parse(model.session("pod").body);
  const { epoch } = session();
  model.lease("pod", { epoch });
  model.appendIntent("pod", { epoch, intent: { ...exampleIntent(OTHER_SYMBOL), clientOrderId } });
  const hear = (bodies: readonly RecordBody[]) => {
    const records = bodies.map((body, index) => ({ sequence: index + 1, body }));
    model.appendRecords("pod", { epoch, records });
  };
  return { session, hear };
}

describe("a restart within the day", () => {
  test("with the position still open finds the same figure", async () => {
    const it = await started(LAST_OF_DAY);
    await it.closeCandle();
    it.shown.unrealised = "-33.000000000000000001";
    const figure = await it.dayResult();
    expect(figure).toBe("-3.000000000000000001");
    const { openTrades } = remembering;
    const next = await started(LAST_OF_DAY + 10, { ...sessionAfter(it, "0"), openTrades });
    next.shown.unrealised = it.shown.unrealised;
    expect(await next.dayResult()).toBe(figure);
    expect(next.baselines()).toEqual([]);
  });

  test("after the position was closed finds the same figure", async () => {
    const it = await started(LAST_OF_DAY);
    await it.closeCandle();
    it.stopFills();
    const figure = await it.dayResult();
    const [closed] = it.trades().flatMap(({ trade }) => trade.pnl ?? []);
    expect([figure, closed]).toEqual(["28.9406", "-1.1194"]);
    const next = await started(LAST_OF_DAY + 10, sessionAfter(it, closed ?? ""));
    next.shown.isOpen = false;
    expect(await next.dayResult()).toBe(figure);
  });

  test("after a trade whose entry was never shown finds the same figure, and is flat", async () => {
    const journal = journalWithEntry(exampleTrade(OTHER_SYMBOL).id);
    const it = await started(LAST_OF_DAY, journal.session());
    it.shown.hidden = true;
    await pass(25_000);
    await it.closeCandle();
    it.stopFills();
    const figure = await it.dayResult();
    expect(figure).toBe("28.9406");
    journal.hear(it.records);
    const next = await started(LAST_OF_DAY + 10, journal.session());
    next.shown.hidden = true;
    next.stopFills();
    expect(await next.dayResult()).toBe(figure);
    expect(next.lastReport()?.flat).toBe(true);
    await pass(25_000);
    expect(await next.dayResult()).toBe(figure);
  });
});
