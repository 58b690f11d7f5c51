import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { systemClock } from "../clock.ts";
import { exchangeFault } from "../exchange/bybit-outcomes.ts";
import type { ClockReading, Exchange, KeyDescription } from "../exchange/exchange.ts";
import { amount, price, quantity } from "../money.ts";
import type { BotDeps } from "./bot.ts";
import {
  exampleExecution,
  exampleKey,
  exampleLong,
  type ExampleOptions,
  exampleSession,
  exampleTrade,
  NEWEST,
  OTHER_SYMBOL,
  startExampleBot,
  SYMBOL,
} from "./example-bot.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Lets `ms` pass and whatever waits for it happen. */
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

const foreignOrder = {
  clientOrderId: "by-hand",
  exchangeOrderId: "x9",
  side: "buy",
  quantity: quantity("1"),
  filledQuantity: quantity("0"),
  status: "open",
  isProtection: false,
  createdMs: 0,
} as const;

/** A bot with its session, that counts the entries that it sends. */
async function trading(options: ExampleOptions = {}, session = exampleSession) {
  const submitEntry = vi.fn<Exchange["submitEntry"]>(async () => ({
    kind: "refused",
    code: "110007",
    message: "no balance",
    final: true,
  }));
  const it = startExampleBot({ ...options, exchange: { submitEntry, ...options.exchange } });
  it.grantSession(session);
  await pass(1_000);
  const reasons = () => it.lastReport()?.blocked.map(({ reason }) => reason);
  const told = () => it.lastReport()?.blocked[0]?.message;
  let minute = NEWEST;
  /** Lets the strategy want to buy. Gives how many entries were sent by then. */
  const signal = async () => {
    it.closeCandle(minute);
    minute += 1;
    await pass(0);
    return submitEntry.mock.calls.length;
  };
  return { ...it, submitEntry, reasons, told, signal };
}

test.each([
  ["position", { held: exampleLong }],
  ["order", { orders: [foreignOrder] }],
])(
  "a foreign %s that came after the last look is met by no order and no leverage",
  async (...[, seen]) => {
    const setLeverage = vi.fn<Exchange["setLeverage"]>();
    const it = await trading({ exchange: { setLeverage } });
    expect(it.reasons()).toEqual([]);
    Object.assign(it.shown, seen);
    expect(await it.signal()).toBe(0);
    expect(setLeverage).not.toHaveBeenCalled();
    await pass(1_000);
    expect(it.reasons()).toContain("ForeignPosition");
  },
);

describe("the leverage is changed by what was just asked, as an order is sent", () => {
  type Trading = Awaited<ReturnType<typeof trading>>;
  /** What happens while the exchange is asked what is open, and how long it takes. */
  async function changing(meanwhile: (it: Trading) => void, takesMs: number) {
    const setLeverage = vi.fn<Exchange["setLeverage"]>(async () => ({
      kind: "accepted",
      exchangeOrderId: undefined,
    }));
    let isSignalled = false;
    const balance = async () => {
      if (isSignalled) {
        await systemClock.sleep(takesMs);
        meanwhile(it);
      }
      return { equity: amount("10000"), available: amount("10000"), currency: "USDT" };
    };
    const it = await trading({ exchange: { setLeverage, balance } });
    isSignalled = true;
    const signalledMs = Date.now();
    await it.signal();
    await pass(12_000);
    const told = it.records.flatMap((body) => (body.type === "event" ? [body.message] : []));
    return { setLeverage, signalledMs, told: told.at(-1) };
  }

  test("and is signed with the time of the question", async () => {
    const { setLeverage, signalledMs } = await changing(() => undefined, 500);
    const [, leverage, asked] = setLeverage.mock.calls[0] ?? [];
    expect(leverage).toBe(10);
    expect((asked?.madeMs ?? 0) - signalledMs).toBeLessThan(2_000);
    expect(Date.now() - (asked?.madeMs ?? 0)).toBeGreaterThan(11_000);
  });

  test.each<[string, (it: Trading) => void, number, string]>([
    ["the lease has gone", (it) => void (it.journal.leaseMs = 5_000), 0, "NoLease"],
    ["another pod took over", (it) => void (it.journal.standing = "stale"), 0, "StaleEpoch"],
    [
      "the owner has set another one",
      ({ bot, config }) =>
        bot.applyConfig({ ...config, generation: 2, risk: { ...config.risk, leverage: 5 } }),
      0,
      "ConfigChanged",
    ],
    ["the answer came late", () => undefined, 3_100, "TooLate"],
  ])("not when %s", async (...[, meanwhile, takesMs, reason]) => {
    const { setLeverage, told } = await changing(meanwhile, takesMs);
    expect(setLeverage).not.toHaveBeenCalled();
    expect(told).toContain(`${reason}: `);
  });
});

test("an execution that nobody can tell the meaning of closes no trade, and is named", async () => {
  const { id } = exampleTrade(SYMBOL);
  const held = { ...exampleLong, stopLoss: price("99"), takeProfit: price("102") };
  const position: Exchange["position"] = async () => ({ leverage: 10, held });
  const unexplained = "execution x7 is of type OfTomorrow (not known to the bot)";
  const executions = [
    exampleExecution("buy", { clientOrderId: id }),
    { ...exampleExecution("sell", { executionId: "x7" }), cause: "unknown" as const, unexplained },
  ];
  const it = await trading(
    { exchange: { executions: async () => executions, position } },
    { ...exampleSession, openTrades: [exampleTrade(SYMBOL)] },
  );
  await pass(60_000);
  expect(it.lastReport()).toMatchObject({ trading: false, flat: false });
  expect(it.told()).toContain("execution x7 is of type OfTomorrow");
  expect(await it.signal()).toBe(0);
  const told = it.records.flatMap((body) => (body.type === "trade" ? [body.trade.closedAt] : []));
  expect(told).toEqual([null]);
});

test("nothing is opened while the newest configuration cannot be read", async () => {
  const it = await trading();
  it.bot.configUnread("halts.0.action: Invalid option");
  await pass(1_000);
  expect(it.reasons()).toEqual(["ConfigUnread"]);
  expect(await it.signal()).toBe(0);
  it.bot.configUnread(undefined);
  await pass(1_000);
  expect(await it.signal()).toBe(1);
});

describe("the key is looked at before the first order", () => {
  test("a hedge-mode account opens nothing", async () => {
    const it = await trading({
      exchange: { describeKey: async () => ({ ...exampleKey, hedgeMode: true }) },
    });
    expect(it.reasons()).toEqual(["KeyUnfit"]);
    expect(await it.signal()).toBe(0);
  });

  test("nothing is opened before the exchange has described it", async () => {
    const { promise, resolve } = Promise.withResolvers<KeyDescription>();
    const it = await trading({ exchange: { describeKey: () => promise } });
    expect(it.reasons()).toEqual(["KeyUnchecked"]);
    expect(await it.signal()).toBe(0);
    resolve(exampleKey);
    await pass(0);
    expect(it.reasons()).toEqual([]);
    expect(await it.signal()).toBe(1);
  });

  test.each<[string, Partial<KeyDescription>, string, string]>([
    ["may withdraw", { canWithdraw: true }, "KeyUnfit", "without the right to withdraw"],
    ["works from everywhere", { addresses: [] }, "KeyUnfit", "from every address"],
    ["is another account's", { accountId: "4712" }, "WrongAccount", "another account"],
    [
      "says of no account that it is its own",
      { accountId: undefined },
      "WrongAccount",
      "does not say",
    ],
  ])("a key that %s", async (...[, change, reason, sentence]) => {
    const it = await trading({
      config: { exchangeAccountId: "24600000" },
      exchange: { describeKey: async () => ({ ...exampleKey, ...change }) },
    });
    expect(it.reasons()).toEqual([reason]);
    expect(it.told()).toContain(sentence);
    expect(await it.signal()).toBe(0);
  });

  test("a refusal of the exchange is told; it is asked again until it answers", async () => {
    const describeKey = vi.fn<Exchange["describeKey"]>(async () => {
      throw exchangeFault("PermissionDenied", { code: "10005", message: "permission denied" });
    });
    const it = await trading({ exchange: { describeKey } });
    expect(it.reasons()).toEqual(["KeyUnfit"]);
    expect(it.told()).toContain("permission denied");
    describeKey.mockImplementation(async () => exampleKey);
    await pass(10_000);
    expect(it.reasons()).toEqual([]);
  });

  test("rights that it gets later are noticed, and so is its end", async () => {
    const key = { canWithdraw: false, expiresAt: new Date(Date.now() + 3_600_000).toISOString() };
    const it = await trading({
      exchange: { describeKey: async () => ({ ...exampleKey, ...key }) },
    });
    expect(it.reasons()).toEqual([]);
    key.canWithdraw = true;
    await pass(600_000);
    expect(it.reasons()).toEqual(["KeyUnfit"]);
    key.canWithdraw = false;
    await pass(600_000);
    expect(it.reasons()).toEqual([]);
    await pass(3_600_000);
    expect(it.told()).toContain("the key expired");
  });

  test("a paper bot has none", async () => {
    const describeKey = vi.fn<Exchange["describeKey"]>();
    const it = await trading({ config: { mode: "paper" }, exchange: { describeKey } });
    expect(it.reasons()).toEqual([]);
    expect(describeKey).not.toHaveBeenCalled();
  });
});

describe("a configuration for another place than the process was started for", () => {
  const endpoint = { restUrl: "http://192.0.2.2", websocketUrl: "ws://192.0.2.2" };

  test.each([
    ["mode", { mode: "paper" }],
    ["endpoint", { endpoint }],
    ["bot", { botUid: "another" }],
  ] as const)("another %s opens nothing until the old one is back", async (...[, change]) => {
    const it = await trading();
    it.bot.applyConfig({ ...it.config, ...change });
    expect(await it.signal()).toBe(0);
    expect(it.reasons()).toEqual(["RestartNeeded"]);
    it.bot.applyConfig(it.config);
    expect(await it.signal()).toBe(1);
  });

  test("the key is still judged by where the orders go", async () => {
    const it = await trading({
      exchange: { describeKey: async () => ({ ...exampleKey, addresses: [] }) },
    });
    it.bot.applyConfig({ ...it.config, endpoint });
    await pass(600_000);
    expect(it.reasons()).toEqual(["RestartNeeded", "KeyUnfit"]);
  });
});

describe("without a lease that outlasts the order", () => {
  test("nothing is opened until there is one again", async () => {
    const it = await trading();
    it.journal.leaseMs = 5_999;
    expect(await it.signal()).toBe(0);
    expect(it.reasons()).toEqual(["NoLease"]);
    expect(it.lastReport()?.leased).toBe(true);
    it.journal.leaseMs = 0;
    await pass(10_000);
    expect(it.lastReport()?.leased).toBe(false);
    it.journal.leaseMs = 6_000;
    expect(await it.signal()).toBe(1);
    expect(it.reasons()).toEqual([]);
  });

  test("an order whose intent took too long is not sent", async () => {
    const { promise, resolve } = Promise.withResolvers<"appended">();
    const it = await trading({ appendIntent: () => promise });
    await it.signal();
    it.journal.leaseMs = 5_999;
    resolve("appended");
    await pass(0);
    expect(it.submitEntry).not.toHaveBeenCalled();
    expect(it.ordersRecorded()).toMatchObject([{ status: "cancelled", code: "NoLease" }]);
  });
});

describe("a stopped bot that does not hold its lease", () => {
  test("waits for it before it says flat", async () => {
    const it = await trading();
    const ended = vi.fn<() => void>();
    void it.bot.finished.then(ended);
    it.journal.leaseMs = 0;
    it.bot.applyConfig({ ...it.config, state: "Stopped", generation: 2 });
    await pass(60_000);
    expect(ended).not.toHaveBeenCalled();
    expect(it.lastReport()).toMatchObject({ state: "Stopped", flat: false });
    it.journal.leaseMs = 15_000;
    await pass(1_000);
    expect(await it.bot.finished).toMatchObject({ flat: true });
  });

  test("ends without saying flat once it knows that it was replaced", async () => {
    const it = await trading();
    it.journal.leaseMs = 0;
    it.journal.standing = "stale";
    it.bot.applyConfig({ ...it.config, state: "Stopped", generation: 2 });
    await pass(1_000);
    expect(await it.bot.finished).toMatchObject({ flat: false });
  });
});

test("a clock that is not known well enough closes the gate, and opens it again", async () => {
  let reading: ClockReading | undefined = { skewMs: 0, uncertaintyMs: 20 };
  const it = await trading({ exchange: { clock: () => reading } });
  expect(it.reasons()).toEqual([]);
  reading = { skewMs: 0, uncertaintyMs: 2_000 };
  expect(await it.signal()).toBe(0);
  expect(it.reasons()).toEqual(["ClockSkew"]);
  reading = { skewMs: 90_000, uncertaintyMs: 20 };
  expect(await it.signal()).toBe(1);
  expect(it.reasons()).toEqual([]);
});

test("a process that stood still opens nothing before it has seen all again", async () => {
  let frozenMs = 0;
  const it = await trading({
    clock: { monotonicMs: () => systemClock.monotonicMs() + frozenMs },
  });
  frozenMs = 3_000;
  // What runs first after a stall is not always the tick.
  expect(await it.signal()).toBe(0);
  await pass(100);
  expect(it.reasons()).toEqual(["EventLoopStalled"]);
  await pass(10_000);
  expect(it.reasons()).toEqual([]);
  expect(await it.signal()).toBe(1);
});

test("a stream that is silent closes the gate, and opens it again", async () => {
  let ageMs = 90_001;
  const it = await trading({ candleAgeMs: () => ageMs });
  expect(it.reasons()).toEqual(["StaleData"]);
  ageMs = 0;
  await pass(10_000);
  expect(it.reasons()).toEqual([]);
});

test("a halt of another symbol is obeyed there and told as obeyed", async () => {
  const it = await trading();
  const halt = {
    name: "eth",
    uid: "uid-of-eth",
    action: "BlockEntries" as const,
    symbols: [OTHER_SYMBOL],
  };
  it.bot.applyConfig({ ...it.config, halts: [halt] });
  await pass(1_000);
  expect(it.lastReport()).toMatchObject({ halts: ["uid-of-eth"], blocked: [] });
  it.bot.applyConfig({ ...it.config, halts: [{ ...halt, symbols: [SYMBOL] }] });
  await pass(1_000);
  expect(it.reasons()).toEqual(["Halted"]);
});

test("a balance that is too small is told before there is a signal", async () => {
  const balance = { equity: amount("0.5"), available: amount("0.5"), currency: "USDT" };
  const it = await trading({ exchange: { balance: async () => balance } });
  expect(it.reasons()).toEqual([]);
  await it.signal();
  await pass(1_000);
  expect(it.reasons()).toEqual(["BelowMinimum"]);
});

describe("a candle that waited on its way", () => {
  test.each([
    ["for a minute", 60_000, 0, 0],
    ["for some seconds", 5_000, 0, 1],
    ["for a minute, by a clock behind the exchange's", 60_000, -70_000, 0],
    ["not, by a clock ahead of the exchange's", 0, 70_000, 1],
  ] as const)("%s", async (...[, lateMs, skewMs, entries]) => {
    const it = await trading({ exchange: { clock: () => ({ skewMs, uncertaintyMs: 20 }) } });
    it.closeCandle(NEWEST, lateMs);
    await pass(1_000);
    expect(it.submitEntry).toHaveBeenCalledTimes(entries);
    const refused = it.records.filter((body) => JSON.stringify(body).includes("StaleSignal"));
    expect(refused).toHaveLength(1 - entries);
  });
});

describe("errors in a row", () => {
  test("disable the bot, and it says so in every report until its configuration changes", async () => {
    const it = await trading();
    for (const sent of [1, 2, 3, 4, 5]) expect(await it.signal()).toBe(sent);
    expect(it.reasons()).toEqual(["Disabled"]);
    expect(it.lastReport()?.consecutiveErrors).toBe(5);
    expect(await it.signal()).toBe(5);
    it.bot.applyConfig({ ...it.config, generation: 2 });
    await pass(1_000);
    expect(it.reasons()).toEqual([]);
    expect(it.lastReport()?.consecutiveErrors).toBe(0);
    expect(await it.signal()).toBe(6);
  });

  test("do not count what was turned away before it was read as an order", async () => {
    const submitEntry = vi.fn<Exchange["submitEntry"]>(async () => ({
      kind: "refused",
      code: "10006",
      message: "too many visits",
      final: false,
    }));
    const it = await trading({ exchange: { submitEntry } });
    for (let sent = 1; sent <= 6; sent += 1) await it.signal();
    expect(submitEntry).toHaveBeenCalledTimes(6);
    expect(it.lastReport()?.consecutiveErrors).toBe(0);
  });

  test("are remembered over a restart under the same configuration", async () => {
    const it = await trading({}, { ...exampleSession, errors: { generation: 1, count: 4 } });
    expect(it.lastReport()?.consecutiveErrors).toBe(4);
    expect(await it.signal()).toBe(1);
    expect(it.reasons()).toEqual(["Disabled"]);
  });

  test("are forgotten under another one", async () => {
    const it = await trading(
      { config: { generation: 2 } },
      { ...exampleSession, errors: { generation: 1, count: 5 } },
    );
    expect(it.reasons()).toEqual([]);
  });
});

test("what changes by the mere passing of time is told within a second", async () => {
  const it = await trading();
  it.journal.leaseMs = 0;
  await pass(600);
  expect(it.reasons()).toEqual(["NoLease"]);
  it.journal.leaseMs = 15_000;
  await pass(600);
  expect(it.reasons()).toEqual([]);
});

test("a wall clock that is set back by an hour holds up no report", async () => {
  const it = await trading();
  const reports = () => it.records.filter(({ type }) => type === "report").length;
  vi.setSystemTime(Date.now() - 3_600_000);
  const before = reports();
  await pass(10_500);
  expect(reports()).toBeGreaterThan(before);
});

test("what watches the gate can be read as metrics", async () => {
  const it = await trading({ exchange: { clock: () => ({ skewMs: -1_500, uncertaintyMs: 20 }) } });
  it.journal.leaseMs = 3_000;
  const printed = it.metrics.print();
  for (const line of [
    "bot_lease_remaining_seconds 3",
    "bot_clock_skew_seconds -1.5",
    "bot_clock_uncertainty_seconds 0.02",
    "bot_consecutive_errors 0",
    "bot_halts 0",
    `bot_candle_age_seconds{symbol="${SYMBOL}"} 0`,
    'bot_blocked{reason="NoLease"} 1',
  ]) {
    expect(printed.split("\n")).toContain(line);
  }
});

test("what the bot's trades do not explain of the account's equity can be read", async () => {
  let equity = amount("10000");
  const balance = async () => ({ equity, available: equity, currency: "USDT" });
  const it = await trading({ exchange: { balance } });
  const read = () => /^bot_unexplained_equity (.*)$/m.exec(it.metrics.print())?.[1];
  expect(read()).toBe("0");
  equity = amount("10100.5");
  await pass(31_000);
  expect(read()).toBe("100.5");
});

const slowBalance = async () => {
  await systemClock.sleep(300);
  return { equity: amount("10000"), available: amount("9000.5"), currency: "USDT" };
};

describe("an entry tells the journal what it takes of the account", () => {
  test("by the balance that it was measured against", async () => {
    const appendIntent = vi.fn<BotDeps["journal"]["appendIntent"]>(async () => "appended");
    const it = await trading({ appendIntent, exchange: { balance: slowBalance } });
    await it.signal();
    await pass(1_000);
    const [intent] = appendIntent.mock.calls[0] ?? [];
    expect(intent?.commitment).toMatchObject({ committed: "999.5", limit: "9000" });
    expect(Number(intent?.commitment?.margin)).toBeCloseTo(
      Number(intent?.quantity) * (1_000 - NEWEST) * (1 / (intent?.leverage ?? 0)),
      6,
    );
    expect(intent?.commitment?.balanceAgeMs).toBeGreaterThanOrEqual(300);
  });

  test("of a paper bot nothing", async () => {
    const appendIntent = vi.fn<BotDeps["journal"]["appendIntent"]>(async () => "appended");
    const it = await trading({ appendIntent, config: { mode: "paper" } });
    await it.signal();
    expect(appendIntent.mock.calls[0]?.[0].commitment).toBeUndefined();
  });

  test("and is not sent when other entries of the account are about to take it", async () => {
    const it = await trading({ appendIntent: async () => "committed" });
    expect(await it.signal()).toBe(0);
    const told = it.records.flatMap((body) => (body.type === "event" ? [body.message] : []));
    expect(told.at(-1)).toContain("BalanceCommitted: other entries of the account");
  });
});
