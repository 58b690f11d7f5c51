import type { BotConfig, BotRequest } from "@tradingbots/crds";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Exchange, HeldPosition, Outcome } from "../exchange/exchange.ts";
import { amount, price, quantity } from "../money.ts";
import { candleReference, orderId } from "../orders/order-id.ts";
import {
  exampleCandles,
  exampleExecution,
  exampleIntent,
  exampleLong,
  exampleMarket,
  exampleSession,
  exampleTrade,
  NEWEST,
  OTHER_SYMBOL,
  startExampleBot,
  SYMBOL,
} from "./example-bot.ts";
import { exampleConfig } from "./example-config.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Lets `ms` pass and whatever waits for it happen. */
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

const heldLong: HeldPosition = {
  symbol: SYMBOL,
  side: "long",
  quantity: quantity("1"),
  entryPrice: price("100"),
  liquidationPrice: undefined,
  unrealisedPnl: amount("0"),
  stopLoss: price("99"),
  takeProfit: price("102"),
};

/** A trading bot whose entry is sent and not answered until `answer` is called. */
async function withEntryInFlight() {
  const { promise, resolve: answer } = Promise.withResolvers<Outcome>();
  const submitEntry = vi.fn<Exchange["submitEntry"]>(() => promise);
  const it = startExampleBot({ exchange: { submitEntry } });
  it.grantSession();
  await pass(1_000);
  expect(it.lastReport()).toMatchObject({ flat: true, blocked: [] });
  it.closeCandle();
  await pass(0);
  expect(submitEntry).toHaveBeenCalledTimes(1);
  return { ...it, answer, submitEntry };
}

describe("while an entry is in flight the bot is not flat", () => {
  test("when its symbol leaves the configuration: the position is managed all the same", async () => {
    const { bot, config, answer, shown, lastReport } = await withEntryInFlight();
    bot.applyConfig({ ...config, symbols: [OTHER_SYMBOL], generation: 2 });
    await pass(15_000);
    expect(lastReport()).toMatchObject({ generation: 2, flat: false });
    answer({ kind: "unknown", code: "timeout", message: "no answer" });
    await pass(90_000);
    expect(shown.held).toBeUndefined();
    // The exchange may show the order late.
    expect(lastReport()?.flat).toBe(false);
    await pass(570_000);
    expect(lastReport()?.flat).toBe(true);
  });

  test("when the bot is stopped: neither the report nor the end says so", async () => {
    const { bot, config, answer, lastReport } = await withEntryInFlight();
    const ended = vi.fn<() => void>();
    void bot.finished.then(ended);
    bot.applyConfig({ ...config, state: "Stopped", generation: 2 });
    expect(lastReport()).toMatchObject({ state: "Stopped", flat: false });
    await pass(60_000);
    expect(lastReport()).toMatchObject({ state: "Stopped", flat: false });
    expect(ended).not.toHaveBeenCalled();
    answer({ kind: "refused", code: "1", message: "no", final: true });
    await pass(1_000);
    expect(await bot.finished).toMatchObject({ flat: true, epoch: 1 });
  });

  test("when the pod is stopped and the answer does not come in time", async () => {
    const { bot } = await withEntryInFlight();
    const [termination] = await Promise.all([bot.stop("SIGTERM"), pass(20_000)]);
    expect(termination).toMatchObject({ flat: false, epoch: 1 });
  });
});

describe("without the journal's memory", () => {
  test("a stopped bot stays, is not flat and says why, until the journal answers", async () => {
    const { bot, grantSession, lastReport } = startExampleBot({ config: { state: "Stopped" } });
    const ended = vi.fn<() => void>();
    void bot.finished.then(ended);
    await pass(10 * 60_000);
    expect(ended).not.toHaveBeenCalled();
    expect(lastReport()?.flat).toBe(false);
    expect(lastReport()?.blocked[0]?.message).toContain("is it known that nothing is open");
    grantSession();
    await pass(1_000);
    expect(await bot.finished).toMatchObject({ flat: true, epoch: 1 });
  });

  test("the end of the pod does not say flat", async () => {
    const { bot } = startExampleBot();
    await pass(1_000);
    const [termination] = await Promise.all([bot.stop("SIGTERM"), pass(20_000)]);
    expect(termination).toMatchObject({ flat: false, epoch: 0 });
    expect(termination.reason).toMatch(/^SIGTERM; the journal has not answered yet/);
  });

  test("a remembered symbol is looked at before the bot is flat", async () => {
    const position = vi.fn<Exchange["position"]>(async () => ({
      leverage: undefined,
      held: undefined,
    }));
    const { bot, config, grantSession, lastReport } = startExampleBot({
      exchange: { position },
      config: { state: "Stopped" },
    });
    await pass(1_000);
    grantSession({ ...exampleSession, openIntents: [exampleIntent(OTHER_SYMBOL)] });
    bot.applyConfig({ ...config, generation: 2 });
    expect(lastReport()).toMatchObject({ generation: 2, flat: false });
    await pass(90_000);
    expect(position).toHaveBeenCalledWith(OTHER_SYMBOL);
    expect(await bot.finished).toMatchObject({ flat: true });
  });
});

test("a symbol that left while its candles were fetched opens nothing when it is back", async () => {
  const { promise, resolve } = Promise.withResolvers<Awaited<ReturnType<typeof exampleCandles>>>();
  const candles = vi.fn<Exchange["candles"]>(exampleCandles).mockReturnValueOnce(promise);
  const submitEntry = vi.fn<Exchange["submitEntry"]>(async () => ({
    kind: "accepted",
    exchangeOrderId: "x1",
  }));
  const it = startExampleBot({ exchange: { candles, submitEntry } });
  it.grantSession();
  await pass(1_000);
  it.bot.applyConfig({ ...it.config, symbols: [OTHER_SYMBOL], generation: 2 });
  it.closeCandle();
  await pass(1_000);
  it.bot.applyConfig({ ...it.config, generation: 3 });
  await pass(1_000);
  resolve(await exampleCandles());
  await pass(1_000);
  expect(submitEntry).not.toHaveBeenCalled();
});

test("without trading rules what is open is closed all the same, and nothing is opened", async () => {
  const submitExit = vi.fn<Exchange["submitExit"]>(async () => ({
    kind: "accepted",
    exchangeOrderId: "x2",
  }));
  vi.setSystemTime(0);
  const prepare = vi.fn<Exchange["prepare"]>().mockRejectedValue(new Error("no rules"));
  const it = startExampleBot({ exchange: { submitExit, prepare, market: () => undefined } });
  const trade = exampleTrade(SYMBOL);
  it.shown.executions = [exampleExecution("buy", { clientOrderId: trade.id, atMs: 1 })];
  it.shown.held = heldLong;
  it.grantSession({ ...exampleSession, openTrades: [trade] });
  await pass(5_000);
  expect(it.lastReport()?.blocked).not.toEqual([]);
  expect(submitExit).not.toHaveBeenCalled();
  it.bot.applyConfig({ ...it.config, state: "Stopped", generation: 2 });
  await pass(5_000);
  expect(submitExit).toHaveBeenCalled();
  const [order] = submitExit.mock.calls.at(-1) ?? [];
  const exit = { clientOrderId: order?.clientOrderId, atMs: 2 };
  it.shown.executions = [...it.shown.executions, exampleExecution("sell", exit)];
  it.shown.held = undefined;
  await pass(30_000);
  expect(it.lastReport()).toMatchObject({ flat: false });
  // Any time may have been one of funding.
  await pass(60_000);
  const told = it.records.findLast((body) => body.type === "trade");
  expect(told?.trade.closedAt).toBe(new Date(2).toISOString());
  expect(it.lastReport()).toMatchObject({ flat: true });
  expect(await it.bot.finished).toMatchObject({ flat: true });
});

test.each([
  ["never answered", async () => new Promise<never>(() => undefined)],
  ["answered with an error", async () => Promise.reject(new Error("no rules"))],
])(
  "a position without a stop is closed although the question for the rules is %s",
  async (_, ask) => {
    const submitExit = vi.fn<Exchange["submitExit"]>(async () => ({
      kind: "accepted",
      exchangeOrderId: "x2",
    }));
    const it = startExampleBot({ exchange: { submitExit, prepare: ask, market: () => undefined } });
    const trade = exampleTrade(SYMBOL);
    it.shown.executions = [exampleExecution("buy", { clientOrderId: trade.id, atMs: 1 })];
    it.shown.held = { ...heldLong, stopLoss: undefined };
    await pass(1_000); // the question is under way when the journal tells of the position
    it.grantSession({ ...exampleSession, openTrades: [trade] });
    await pass(19_000);
    expect(it.lastReport()?.blocked.map(({ reason }) => reason)).not.toContain("SymbolNotTraded");
    expect(submitExit).not.toHaveBeenCalled();
    await pass(3_000);
    expect(submitExit).toHaveBeenCalled();
  },
);

const coarseMarket = (symbol: string) => ({
  ...exampleMarket(symbol),
  minimumQuantity: quantity("1"),
});

test.each([
  [
    "worth less than the exchange would open is left behind: the bot is flat, and says so",
    "0.04",
    true,
  ],
  ["worth more is not: somebody has to close it", "0.06", false],
])("dust that the exchange does not close and that is %s", async (_, units, isFlat) => {
  const refused = { kind: "refused", code: "110017", message: "too small", final: true } as const;
  const submitExit = vi.fn<Exchange["submitExit"]>(async () => refused);
  const it = startExampleBot({
    config: { state: "Stopped" },
    exchange: { submitExit, market: coarseMarket },
  });
  const trade = { ...exampleTrade(SYMBOL), quantity: units };
  const size = { quantity: quantity(units) };
  it.shown.executions = [exampleExecution("buy", { clientOrderId: trade.id, atMs: 1, ...size })];
  it.shown.held = { ...heldLong, ...size };
  it.grantSession({ ...exampleSession, openTrades: [trade] });
  await pass(25_000);
  expect(submitExit).toHaveBeenCalledTimes(1);
  expect(it.lastReport()).toMatchObject({ flat: isFlat, openSymbols: isFlat ? [] : [SYMBOL] });
  expect(it.lastReport()?.blocked.map(({ reason }) => reason)).toContain("Dust");
  const ended = vi.fn<() => void>();
  void it.bot.finished.then(ended);
  await pass(0);
  expect(ended).toHaveBeenCalledTimes(isFlat ? 1 : 0);
  const told = it.records.flatMap((body) => (body.type === "event" ? [body.kind] : []));
  expect(told).toContain("dust");
  // The next process may trade elsewhere, where the entry was never seen, or there may be none.
  const last = it.records.findLast((body) => body.type === "trade")?.trade;
  expect(last).toMatchObject(isFlat ? { reason: "dust", pnl: "0" } : { reason: null, pnl: null });
  expect(last?.closedAt === null).toBe(!isFlat);
  // Who hears that the bot is flat may end its pod, or make none: nobody would tell of the trade any more.
  const [firstFlat, closed] = [
    it.records.findIndex((body) => body.type === "report" && body.report.flat),
    it.records.findIndex((body) => body.type === "trade" && body.trade.closedAt !== null),
  ];
  expect(closed >= 0 && closed < firstFlat).toBe(isFlat);
});

test("dust that was told of as left behind is an open trade again once the bot runs", async () => {
  const refused = { kind: "refused", code: "110017", message: "too small", final: true } as const;
  const halts = [{ name: "h", uid: "u", action: "Flatten" as const, symbols: null }];
  const it = startExampleBot({
    config: { state: "Paused", halts },
    exchange: { submitExit: async () => refused, market: coarseMarket },
  });
  const trade = { ...exampleTrade(SYMBOL), quantity: "0.04" };
  const size = { quantity: quantity("0.04") };
  it.shown.executions = [exampleExecution("buy", { clientOrderId: trade.id, atMs: 1, ...size })];
  it.shown.held = { ...heldLong, ...size };
  it.journal.flush = async () => false;
  it.grantSession({ ...exampleSession, openTrades: [trade] });
  const told = () => it.records.findLast((body) => body.type === "trade")?.trade.reason;
  await pass(30_000);
  expect(told()).toBe("dust");
  it.bot.applyConfig({ ...it.config, state: "Running", generation: 2 });
  // Before the word that it runs, and once.
  expect(told()).toBe(null);
  expect(it.records.at(-1)).toMatchObject({ type: "report", report: { state: "Running" } });
  const trades = () => it.records.filter((body) => body.type === "trade").length;
  const toldTimes = trades();
  await pass(120_000);
  expect(trades()).toBe(toldTimes);
  expect(it.lastReport()?.flat).toBe(true);
});

describe("dust of a trade that made -30 before", () => {
  const { botUid, timeframe } = exampleConfig;
  const reference = candleReference((NEWEST - 1) * 60_000);
  const identity = { botUid, symbol: SYMBOL, timeframe, reference, attempt: 0 } as const;
  const id = orderId({ ...identity, leg: "entry" });
  const dayBaseline = { day: "1970-01-01", equity: "10000", startsFrom: "0" };
  const begun = { ...exampleSession, dayBaseline };

  test.each([
    ["was told as closed", { ...begun, realised: "-30" }],
    ["is open in the journal", { ...begun, openTrades: [{ ...exampleTrade(SYMBOL), id }] }],
  ])("and %s, found before the journal answers: -30 is the day's result", async (_, session) => {
    const it = startExampleBot();
    it.shown.executions = [
      exampleExecution("buy", { clientOrderId: id, atMs: 1 }),
      exampleExecution("sell", { quantity: quantity("0.96"), price: price("68.75"), atMs: 2 }),
    ];
    it.shown.held = { ...heldLong, quantity: quantity("0.04") };
    await pass(15_000);
    const adopted = it.records.filter((body) => body.type === "event" && body.kind === "adopted");
    expect(adopted.length).toBe(1);
    it.grantSession(session);
    await pass(15_000);
    expect(it.lastReport()).toMatchObject({ openSymbols: [SYMBOL], dayResult: "-30" });
  });
});

describe("a bot is not at its end before the journal has heard all", () => {
  test("stopped and flat it goes on until the journal has taken its last words", async () => {
    const it = startExampleBot({ config: { state: "Stopped" } });
    const ended = vi.fn<() => void>();
    void it.bot.finished.then(ended);
    it.journal.flush = async () => false;
    it.grantSession();
    await pass(90_000);
    expect(it.lastReport()?.flat).toBe(true);
    expect(ended).not.toHaveBeenCalled();
    it.journal.flush = async () => true;
    await pass(5_000);
    expect(await it.bot.finished).toMatchObject({ flat: true });
  });

  test.each([true, false])("ended by its node it says flat only if it has: %j", async (isTold) => {
    const it = startExampleBot({ config: { state: "Running" } });
    it.journal.flush = async () => isTold;
    it.grantSession();
    await pass(1_000);
    expect(it.lastReport()?.flat).toBe(true);
    const [termination] = await Promise.all([it.bot.stop("SIGTERM"), pass(20_000)]);
    expect(termination).toMatchObject({ flat: isTold });
  });
});

test("dust on a symbol that left the configuration is tried again: it may not be dust for ever", async () => {
  const refused = { kind: "refused", code: "110017", message: "too small", final: true } as const;
  const submitExit = vi.fn<Exchange["submitExit"]>(async () => refused);
  const halts = [{ name: "h", uid: "u", action: "Flatten" as const, symbols: null }];
  const size = { quantity: quantity("0.04") };
  const trade = exampleTrade(SYMBOL);
  const entry = exampleExecution("buy", { clientOrderId: trade.id, atMs: 1, ...size });
  const position: Exchange["position"] = async (symbol) => ({
    leverage: undefined,
    held: symbol === SYMBOL ? { ...heldLong, ...size } : undefined,
  });
  const executions: Exchange["executions"] = async ({ symbol }) =>
    symbol === SYMBOL ? [entry] : [];
  const it = startExampleBot({
    config: { symbols: [OTHER_SYMBOL], halts },
    exchange: { submitExit, market: coarseMarket, position, executions },
  });
  it.grantSession({ ...exampleSession, openTrades: [trade] });
  await pass(45_000);
  expect(it.lastReport()?.flat).toBe(true);
  expect(submitExit).toHaveBeenCalledTimes(1);
  await pass(60_000);
  expect(submitExit).toHaveBeenCalledTimes(2);
  // Ten refusals are no ten errors: the other symbol is traded on.
  await pass(480_000);
  expect(submitExit).toHaveBeenCalledTimes(10);
  expect(it.lastReport()?.consecutiveErrors).toBe(0);
});

test("after a restart the strategy still closes what it opened on a symbol that left the configuration", async () => {
  const submitExit = vi.fn<Exchange["submitExit"]>(async () => ({
    kind: "accepted",
    exchangeOrderId: "x2",
  }));
  const it = startExampleBot({ config: { symbols: [OTHER_SYMBOL] }, exchange: { submitExit } });
  const trade = { ...exampleTrade(SYMBOL), side: "short" } as const;
  it.shown.executions = [exampleExecution("sell", { clientOrderId: trade.id, atMs: 1 })];
  it.shown.held = {
    ...heldLong,
    side: "short",
    stopLoss: price("101"),
    takeProfit: price("98"),
  };
  it.grantSession({ ...exampleSession, openTrades: [trade] });
  await pass(5_000);
  expect(it.followed().toSorted()).toEqual([SYMBOL, OTHER_SYMBOL]);
  expect(submitExit).not.toHaveBeenCalled();
  it.closeCandle();
  await pass(5_000);
  expect(submitExit).toHaveBeenCalledWith(expect.objectContaining({ symbol: SYMBOL, side: "buy" }));
});

test("a symbol that was removed and comes back is not given its old trades again", async () => {
  const it = startExampleBot();
  const trade = exampleTrade(SYMBOL);
  it.shown.executions = [
    exampleExecution("buy", { clientOrderId: trade.id, atMs: 1 }),
    exampleExecution("sell", { cause: "target", price: price("102"), atMs: 2 }),
  ];
  it.grantSession({ ...exampleSession, openTrades: [trade] });
  await pass(30_000);
  const closed = () =>
    it.records.filter((body) => body.type === "trade" && body.trade.closedAt !== null).length;
  expect(closed()).toBe(1);
  it.bot.applyConfig({ ...it.config, symbols: [OTHER_SYMBOL], generation: 2 });
  await pass(5_000);
  it.bot.applyConfig({ ...it.config, generation: 3 });
  await pass(30_000);
  expect(closed()).toBe(1);
  expect(it.lastReport()).toMatchObject({ flat: true, dayResult: "2" });
});

describe("a trade of the journal of which the exchange account knows nothing", () => {
  test("is a contradiction: not flat, nothing is opened, the bot says so and stays", async () => {
    const submitEntry = vi.fn<Exchange["submitEntry"]>();
    const it = startExampleBot({ exchange: { submitEntry } });
    it.grantSession({ ...exampleSession, openTrades: [exampleTrade(SYMBOL)] });
    await pass(30_000);
    expect(it.lastReport()).toMatchObject({ flat: false, trading: false });
    const [first] = it.lastReport()?.blocked ?? [];
    expect(first?.reason).toBe("PositionUnknown");
    expect(first?.message).toContain("this exchange account never had that order");
    it.closeCandle();
    it.bot.applyConfig({ ...it.config, symbols: [OTHER_SYMBOL], state: "Stopped", generation: 2 });
    await pass(60_000);
    expect(submitEntry).not.toHaveBeenCalled();
    expect(it.ordersRecorded()).toEqual([]);
    expect(it.lastReport()).toMatchObject({ state: "Stopped", flat: false });
    expect(it.lastReport()?.blocked[0]?.reason).toBe("PositionUnknown");
  });

  test("is over once the exchange shows that it was closed", async () => {
    const it = startExampleBot();
    it.grantSession({ ...exampleSession, openTrades: [exampleTrade(SYMBOL)] });
    await pass(30_000);
    expect(it.lastReport()?.blocked[0]?.reason).toBe("PositionUnknown");
    const opened = Date.parse(exampleTrade(SYMBOL).openedAt);
    it.shown.executions = [
      exampleExecution("buy", { clientOrderId: exampleTrade(SYMBOL).id, atMs: opened }),
      exampleExecution("sell", { cause: "stop", atMs: opened + 1 }),
    ];
    await pass(10_000);
    expect(it.lastReport()).toMatchObject({ flat: true, blocked: [] });
  });
});

const halt = (symbols: string[] | null): BotConfig["halts"][number] => ({
  name: "all",
  uid: "u",
  action: "BlockEntries",
  symbols,
});

describe("an entry whose intent the journal is writing", () => {
  const limit = 2_000;
  const OTHER_RISK = { ...exampleConfig.risk, leverage: 2 };
  const CLOSING: BotRequest = {
    id: "c0ffee00-1111-4222-8333-444455556666",
    action: "ClosePosition",
    symbol: SYMBOL,
    notAfter: new Date(Date.now() + 60_000).toISOString(),
  };
  type ExampleBot = ReturnType<typeof startExampleBot>;
  /** Another configuration, read anew: no part of it is the object that the bot has. */
  const meanwhile =
    (change: Partial<BotConfig>) =>
    ({ bot, config }: ExampleBot) =>
      bot.applyConfig(structuredClone({ ...config, ...change, generation: 2 }));
  test.each<[string, number, (it: ExampleBot) => void, (string | undefined)?]>([
    ["is sent when nothing else happens", limit - 100, () => undefined, undefined],
    ["is not sent when too much time has passed", limit + 100, () => undefined, "TooLate"],
    [
      "is not sent either when the wall clock was set back meanwhile",
      limit + 100,
      () => vi.setSystemTime(Date.now() - limit),
      "TooLate",
    ],
    ["is not sent under another risk", 100, meanwhile({ risk: OTHER_RISK }), "ConfigChanged"],
    [
      "is not sent under a risk that was changed and changed back",
      100,
      (it) => {
        meanwhile({ risk: OTHER_RISK })(it);
        meanwhile({})(it);
      },
      "ConfigChanged",
    ],
    [
      "is not sent under another strategy",
      100,
      meanwhile({ strategy: { name: "rsi", params: { period: 3 } } }),
      "ConfigChanged",
    ],
    ["is not sent at another timeframe", 100, meanwhile({ timeframe: "5m" }), "ConfigChanged"],
    [
      "is not sent when somebody asks to close there",
      100,
      meanwhile({ requests: [CLOSING] }),
      "ConfigChanged",
    ],
    [
      "is sent when somebody asks to close another symbol",
      100,
      meanwhile({ requests: [{ ...CLOSING, symbol: OTHER_SYMBOL }] }),
      undefined,
    ],
    [
      "is sent when somebody asks for an order there, which comes after it",
      100,
      meanwhile({ requests: [{ ...CLOSING, action: "Order", side: "short" }] }),
      undefined,
    ],
    [
      "is sent when another symbol is traded besides",
      100,
      meanwhile({ symbols: [SYMBOL, OTHER_SYMBOL] }),
      undefined,
    ],
    [
      "is not sent when its symbol is traded no more",
      100,
      meanwhile({ symbols: [OTHER_SYMBOL] }),
      "SymbolRemoved",
    ],
    ["is sent under a halt of another symbol", 100, meanwhile({ halts: [halt([OTHER_SYMBOL])] })],
    ["is not sent under a halt", 100, meanwhile({ halts: [halt(null)] }), "Halted"],
  ])("%s", async (...[, takesMs, happens, code]) => {
    const { promise, resolve: answer } = Promise.withResolvers<"appended">();
    const submitEntry = vi.fn<Exchange["submitEntry"]>(async () => ({
      kind: "accepted",
      exchangeOrderId: "x1",
    }));
    const it = startExampleBot({ exchange: { submitEntry }, appendIntent: () => promise });
    it.grantSession();
    await pass(1_000);
    it.closeCandle();
    await pass(0);
    const decidedMs = Date.now();
    happens(it);
    await pass(takesMs);
    answer("appended");
    await pass(0);
    const [order] = it.ordersRecorded();
    const sent = code === undefined;
    expect(submitEntry.mock.calls.map(([{ madeMs }]) => madeMs)).toEqual(sent ? [decidedMs] : []);
    expect(order).toMatchObject(sent ? { status: "accepted" } : { status: "cancelled", code });
  });
});

test("an entry that the journal holds under a halt is not sent, and says so", async () => {
  const submitEntry = vi.fn<Exchange["submitEntry"]>();
  const it = startExampleBot({ exchange: { submitEntry }, appendIntent: async () => "halted" });
  it.grantSession();
  await pass(1_000);
  it.closeCandle();
  await pass(1_000);
  expect(submitEntry).not.toHaveBeenCalled();
  const events = it.records.flatMap((body) => (body.type === "event" ? [body.message] : []));
  expect(events.join()).toContain("Halted: the journal knows a halt");
});

describe("a proposal", () => {
  test("of a strategy that was replaced while candles were fetched is dropped", async () => {
    const { promise: fetched, resolve } = Promise.withResolvers<void>();
    const submitEntry = vi.fn<Exchange["submitEntry"]>();
    const candles = vi.fn<Exchange["candles"]>(exampleCandles);
    const it = startExampleBot({ exchange: { candles, submitEntry } });
    it.grantSession();
    await pass(1_000);
    candles.mockImplementationOnce(() => fetched.then(exampleCandles));
    it.closeCandle(NEWEST + 1); // waits for the one before it
    await pass(0);
    const strategy = { name: "rsi", params: { period: 2, direction: "short" } };
    it.bot.applyConfig({ ...it.config, strategy, generation: 2 });
    resolve();
    await pass(1_000);
    expect(candles).toHaveBeenCalledTimes(3);
    expect(it.lastReport()).toMatchObject({ generation: 2, trading: true });
    expect(submitEntry).not.toHaveBeenCalled();
  });

  test.each([
    [9_000, 1],
    [11_000, 0],
  ])("that has waited for %i ms makes %i entries", async (...[waitsMs, entries]) => {
    const submitEntry = vi.fn<Exchange["submitEntry"]>(async () => ({
      kind: "accepted",
      exchangeOrderId: "x1",
    }));
    const prepare = vi.fn<Exchange["prepare"]>(async () => undefined);
    const it = startExampleBot({ exchange: { prepare, submitEntry } });
    it.grantSession();
    await pass(1_000);
    prepare.mockImplementation(() => new Promise((go) => void setTimeout(go, waitsMs)));
    it.closeCandle();
    await pass(waitsMs + 1_000);
    expect(submitEntry).toHaveBeenCalledTimes(entries);
    const refused = it.records.filter(
      (body) => body.type === "event" && body.kind === "entry-refused",
    );
    expect(refused.length).toBe(1 - entries);
  });
});

describe("a stopped bot that finds a position which it does not know", () => {
  test("stays while its id is in the form of the bot's own, and ends once it is gone", async () => {
    const it = startExampleBot({ config: { state: "Stopped" } });
    it.shown.held = exampleLong;
    const { id: clientOrderId } = exampleTrade(SYMBOL);
    it.shown.executions = [exampleExecution("buy", { clientOrderId })];
    it.grantSession();
    await pass(60_000);
    expect(it.lastReport()).toMatchObject({ flat: false, trading: false });
    expect(it.lastReport()?.blocked[0]?.reason).toBe("PositionUnknown");
    it.shown.held = undefined;
    await pass(10_000);
    expect(await it.bot.finished).toMatchObject({ flat: true });
  });

  test("ends while it is dust, which a process before it has left behind", async () => {
    const it = startExampleBot({ config: { state: "Stopped" } });
    const size = { quantity: quantity("0.04") };
    it.shown.held = { ...exampleLong, ...size };
    const { id: clientOrderId } = exampleTrade(SYMBOL);
    it.shown.executions = [exampleExecution("buy", { clientOrderId, ...size })];
    it.grantSession();
    await pass(1_000);
    expect(await it.bot.finished).toMatchObject({ flat: true });
    expect(it.lastReport()?.blocked.map(({ reason }) => reason)).toContain("ForeignPosition");
  });

  test("ends while it is clearly somebody else's", async () => {
    const it = startExampleBot({ config: { state: "Stopped" } });
    it.shown.held = exampleLong;
    it.shown.executions = [exampleExecution("buy", { clientOrderId: "by-hand" })];
    it.grantSession();
    await pass(1_000);
    expect(await it.bot.finished).toMatchObject({ flat: true });
    expect(it.lastReport()?.blocked.map(({ reason }) => reason)).toContain("ForeignPosition");
  });
});
