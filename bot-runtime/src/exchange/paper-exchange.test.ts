import type { SessionAnswer } from "@tradingbots/crds";
import { describe, expect, test } from "vitest";
import { price, quantity, text } from "../money.ts";
import { amount } from "../money.ts";
import type { PublicMarketData } from "./bybit-public.ts";
import type { Market } from "./exchange.ts";
import { PaperExchange } from "./paper-exchange.ts";

const SYMBOL = "BTC/USDT:USDT";
const market: Market = {
  symbol: SYMBOL,
  quoteCurrency: "USDT",
  tick: price("0.1"),
  quantityStep: quantity("0.001"),
  minimumQuantity: quantity("0.001"),
  maximumQuantity: quantity("119"),
  minimumValue: amount("5"),
  maximumLeverage: 100,
};

const LEVERAGE = 5;

type Bar = readonly [open: string, high: string, low: string, close: string];

/** A paper exchange that has seen one closed candle at 100. */
function exchange(change: Partial<PublicMarketData> = {}) {
  let now = 1_000;
  const paper = new PaperExchange(
    {
      prepare: async () => undefined,
      market: () => market,
      delisted: () => false,
      candles: async () => [],
      ...change,
    },
    () => now,
    LEVERAGE,
  );
  let minute = 0;
  const show = ([open, high, low, close]: Bar, closed: boolean) => {
    now += 1_000;
    const candle = {
      openTimeMs: minute * 60_000,
      open: price(open),
      high: price(high),
      low: price(low),
      close: price(close),
    };
    paper.observe({ symbol: SYMBOL, candle, closed, sentAtMs: now });
    if (closed) minute += 1;
  };
  /** The stream is away for a candle, or for the rest of one. */
  show.skip = () => void (minute += 1);
  show(["100", "100", "100", "100"], true);
  return { paper, show };
}

const entry = (side: "buy" | "sell") => ({
  symbol: SYMBOL,
  clientOrderId: "11111111-1111-8111-8111-111111111111",
  side,
  quantity: quantity("1"),
  stopLoss: price(side === "buy" ? "99" : "101"),
  takeProfit: price(side === "buy" ? "102" : "98"),
});

/** What the journal remembers of a pod that held a long from 99. */
const restored: SessionAnswer = {
  epoch: 2,
  lastSequence: 0,
  openIntents: [],
  errors: null,
  requests: [],
  dayBaseline: { day: "2025-06-18", equity: "9000", startsFrom: "-1000" },
  realised: "-1010",
  openTrades: [
    {
      id: entry("buy").clientOrderId,
      symbol: SYMBOL,
      side: "long",
      quantity: "1",
      entryPrice: "99",
      exitPrice: null,
      pnl: null,
      fees: "0.05",
      funding: "0",
      openedAt: "2025-06-18T00:00:00Z",
      closedAt: null,
      reason: null,
    },
  ],
};

describe("a long from 100.5 with its stop at 99 and its target at 102", () => {
  const open: Bar = ["100.5", "100.5", "100.5", "100.5"];
  test.each<[string, readonly Bar[], string, string]>([
    ["stop touched", [["100.5", "101", "99", "99.5"]], "stop", "99"],
    ["target touched", [["100.5", "102", "100", "101"]], "target", "102"],
    ["both touched: the stop", [["100.5", "103", "98", "100"]], "stop", "99"],
    [
      "opens below the stop",
      [
        ["100.5", "101", "100", "101"],
        ["98", "98.5", "97", "98"],
      ],
      "stop",
      "98",
    ],
    [
      "opens above the target",
      [
        ["100.5", "101", "100", "101"],
        ["103", "104", "103", "103"],
      ],
      "target",
      "103",
    ],
  ])("%s", async (...[, bars, cause, at]) => {
    const { paper, show } = exchange();
    expect((await paper.submitEntry(entry("buy"))).kind).toBe("accepted");
    show(open, false);
    const position = await paper.position(SYMBOL);
    expect(text(position.held?.entryPrice ?? price("0"))).toBe("100.5");
    for (const bar of bars) show(bar, true);
    expect((await paper.position(SYMBOL)).held).toBeUndefined();
    const [, exit] = await paper.executions({ symbol: SYMBOL, sinceMs: 0 });
    expect([exit?.cause, exit && text(exit.price)]).toEqual([cause, at]);
    // 10,000 + (exit − 100.5) − 0.055 % of both values, exactly.
    const fees = price("100.5").plus(at).times("0.00055");
    const { equity } = await paper.balance();
    expect(text(equity)).toBe(text(amount(price(at).minus("100.5").plus(10_000).minus(fees))));
  });
});

/** The same of a trade at 100 that was opened in this minute. */
const restoredAt = (minute: number) => ({
  ...restored,
  openTrades: restored.openTrades.map((trade) => ({
    ...trade,
    entryPrice: "100",
    openedAt: new Date(minute * 60_000).toISOString(),
  })),
});

describe("candles that the stream did not show strike stop and target once they are fetched", () => {
  const at = (minute: number, [open, high, low, close]: Bar) => ({
    openTimeMs: minute * 60_000,
    open: price(open),
    high: price(high),
    low: price(low),
    close: price(close),
  });
  const flat: Bar = ["100", "100", "100", "100"];
  const query = { symbol: SYMBOL, timeframe: "1m", limit: 1_000 } as const;
  const exits = async (paper: PaperExchange) => {
    const executions = await paper.executions({ symbol: SYMBOL, sinceMs: 0 });
    return executions.slice(1).map(({ cause, price: paid }) => `${cause} at ${text(paid)}`);
  };

  test.each<[string, readonly Bar[], readonly string[]]>([
    ["the stop", [["100", "100", "90", "100"]], ["stop at 99"]],
    [
      "the target, in the first that reaches it",
      [
        ["100", "103", "100", "101"],
        ["100", "100", "90", "95"],
      ],
      ["target at 102"],
    ],
    ["one that opens below the stop", [["97", "98", "96", "97"]], ["stop at 97"]],
    ["none", [["100", "101", "99.5", "100"]], []],
  ])("%s", async (...[, missed, expected]) => {
    const fetched: ReturnType<typeof at>[] = [];
    const { paper, show } = exchange({ candles: async () => fetched });
    await paper.submitEntry(entry("buy"));
    show(flat, true);
    fetched.push(...missed.map((bar, index) => at(2 + index, bar)), at(2 + missed.length, flat));
    for (const _ of missed) show.skip();
    show(flat, false);
    await paper.candles(query);
    expect(await exits(paper)).toEqual(expected);
  });

  test("but for what an entry inside of one came after", async () => {
    const fetched = [at(1, ["100", "103", "97", "100"]), at(2, flat)];
    const { paper, show } = exchange({ candles: async () => fetched });
    show(flat, false);
    await paper.submitEntry(entry("buy"));
    show(flat, false);
    show.skip();
    show(flat, false);
    await paper.candles(query);
    expect(await exits(paper)).toEqual([]);
  });

  const levels = { stopLoss: price("99"), takeProfit: price("102") };
  const low: Bar = ["100", "100", "90", "100"];

  test.each([
    ["before the journal answers", true],
    ["after the position got its levels", false],
  ])("after a restart, fetched %s", async (_, isFetchedFirst) => {
    const { paper } = exchange({ candles: async () => [at(4, low), at(5, flat), at(6, flat)] });
    if (isFetchedFirst) await paper.candles(query);
    paper.restore(restoredAt(3));
    await paper.protect(SYMBOL, levels);
    if (!isFetchedFirst) await paper.candles(query);
    expect(await exits(paper)).toEqual(["stop at 99"]);
  });

  test("but for shorter ones of before the entry, once the timeframe has changed", async () => {
    const fetched: ReturnType<typeof at>[] = [];
    const { paper } = exchange({ candles: async () => fetched });
    paper.restore({ ...restored, openTrades: [] });
    await paper.candles({ ...query, timeframe: "1h" });
    await paper.submitEntry(entry("buy"));
    const hour = at(-60, flat);
    paper.observe({ symbol: SYMBOL, candle: hour, closed: false, sentAtMs: 0 });
    expect((await paper.position(SYMBOL)).held).toBeDefined();
    fetched.push(at(-1, low), at(2, flat));
    await paper.candles(query);
    expect(await exits(paper)).toEqual([]);
  });

  test("once: levels that are set later do not strike in them", async () => {
    const { paper } = exchange({ candles: async () => [at(4, low), at(5, flat), at(6, flat)] });
    paper.restore(restoredAt(3));
    await paper.protect(SYMBOL, { ...levels, stopLoss: price("80") });
    await paper.candles(query);
    await paper.protect(SYMBOL, levels);
    await paper.candles(query);
    expect(await exits(paper)).toEqual([]);
  });

  test("also when a question for the newest one comes before the journal's answer", async () => {
    const all = [at(4, low), at(5, flat), at(6, flat)];
    const { paper } = exchange({ candles: async ({ limit }) => all.slice(-limit) });
    await paper.candles(query);
    await paper.candles({ ...query, limit: 1 });
    paper.restore(restoredAt(3));
    await paper.protect(SYMBOL, levels);
    expect(await exits(paper)).toEqual(["stop at 99"]);
  });

  test("after a restart nothing of before the trade", async () => {
    const { paper } = exchange({ candles: async () => [at(4, low), at(5, flat), at(6, flat)] });
    paper.restore(restoredAt(4.5));
    await paper.protect(SYMBOL, levels);
    await paper.candles(query);
    expect(await exits(paper)).toEqual([]);
  });
});

test("an entry inside a candle is not measured by what the candle did before", async () => {
  const { paper, show } = exchange();
  show(["100", "103", "97", "100"], false);
  await paper.submitEntry(entry("buy"));
  show(["100", "103", "97", "100.2"], false);
  expect((await paper.position(SYMBOL)).held?.entryPrice.toFixed()).toBe("100.2");
  show(["100", "103", "97", "100.4"], true);
  expect((await paper.position(SYMBOL)).held).toBeDefined();
});

test("a short is stopped above and earns below", async () => {
  const { paper, show } = exchange();
  await paper.submitEntry(entry("sell"));
  show(["100", "100.5", "97", "98"], true);
  const [, exit] = await paper.executions({ symbol: SYMBOL, sinceMs: 0 });
  expect([exit?.cause, exit && text(exit.price)]).toEqual(["target", "98"]);
});

test("an id is used once; an exit reduces and is looked up by its id", async () => {
  const { paper, show } = exchange();
  await paper.submitEntry(entry("buy"));
  expect((await paper.submitEntry(entry("buy"))).kind).toBe("unknown");
  show(["100", "100", "100", "100"], true);
  const exit = { ...entry("sell"), clientOrderId: "22222222-2222-8222-8222-222222222222" };
  await paper.submitExit(exit);
  expect((await paper.openOrders(SYMBOL)).length).toBe(1);
  show(["100.1", "100.1", "100.1", "100.1"], false);
  expect((await paper.findOrder(exit))?.status).toBe("filled");
  expect((await paper.position(SYMBOL)).held).toBeUndefined();
  expect((await paper.submitExit(exit)).kind).toBe("refused");
});

test("a restarted pod finds the open trade of the one before", async () => {
  const { paper } = exchange();
  paper.restore(restored);
  expect((await paper.position(SYMBOL)).held).toMatchObject({ side: "long", stopLoss: undefined });
  expect((await paper.findOrder(entry("buy")))?.status).toBe("filled");
  const { equity, available } = await paper.balance();
  expect(text(equity)).toBe("8990.95");
  // 99 at the bot's own leverage, not at none.
  expect(text(available)).toBe("8971.15");
  expect((await paper.protect(SYMBOL, { stopLoss: price("98"), takeProfit: undefined })).kind).toBe(
    "accepted",
  );
});

test("a position of a contract that was delisted is closed at the last price that there was", async () => {
  let delisted = false;
  const { paper, show } = exchange({ delisted: () => delisted });
  await paper.submitEntry(entry("buy"));
  show(["100", "100", "100", "100"], true);
  delisted = true;
  const exit = { ...entry("sell"), clientOrderId: "22222222-2222-8222-8222-222222222222" };
  expect(await paper.submitExit(exit)).toMatchObject({ kind: "accepted" });
  expect((await paper.position(SYMBOL)).held).toBeUndefined();
  const executions = await paper.executions({ symbol: SYMBOL, sinceMs: 0 });
  expect(executions.map(({ side, price: at }) => [side, text(at)])).toEqual([
    ["buy", "100"],
    ["sell", "100"],
  ]);
});
