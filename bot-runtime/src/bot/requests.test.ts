import type { BotConfig, BotRequest, RequestResult, SessionAnswer } from "@tradingbots/crds";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Candle, Exchange } from "../exchange/exchange.ts";
import { PaperExchange } from "../exchange/paper-exchange.ts";
import { price, text } from "../money.ts";
import { requestedEntryId } from "../orders/order-id.ts";
import {
  exampleCandles,
  exampleMarket,
  type ExampleOptions,
  exampleSession,
  NEWEST,
  OTHER_SYMBOL,
  startExampleBot,
  SYMBOL,
} from "./example-bot.ts";

const START = Date.UTC(2026, 0, 5, 12);
const MINUTE = 60_000;

beforeEach(() => void vi.useFakeTimers({ now: START }));
afterEach(() => void vi.useRealTimers());

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

const ID = "c0ffee00-1111-4222-8333-444455556666";
const inMs = (ms: number) => new Date(Date.now() + ms).toISOString();

function ask(action: BotRequest["action"], change: Partial<BotRequest> = {}): BotRequest {
  const side = action === "Order" ? ({ side: "long" } as const) : {};
  return { id: ID, action, symbol: SYMBOL, ...side, notAfter: inMs(60_000), ...change };
}

/** Play money that outlives the processes of its bot. */
function playMoney(): PaperExchange {
  const data = {
    prepare: async () => undefined,
    market: exampleMarket,
    delisted: () => false,
    candles: exampleCandles,
  };
  return new PaperExchange(data, () => Date.now(), 10);
}

const findOrder = async () => {
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  return undefined;
};

const submitEntry = async () => {
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  return { kind: "refused", code: "x", message: "no", final: true } as const;
};

const slowly = async () => {
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  return "appended" as const;
};

/** The candle in progress. */
function candleAt(at: string): Candle {
  const value = price(at);
  return { openTimeMs: NEWEST * MINUTE, open: value, high: value, low: value, close: value };
}

/** The series as ever, and a price of 125 to whoever asks for the newest candle alone. */
const dearCandles: Exchange["candles"] = async ({ limit }) =>
  limit === 1 ? [candleAt("125")] : exampleCandles();

interface Options extends ExampleOptions {
  readonly paper?: PaperExchange;
  readonly session?: Partial<SessionAnswer>;
}

/** A bot on play money that knows the price, and hears of candles that do not close: its strategy proposes nothing. */
async function start({ paper = playMoney(), session, ...options }: Options = {}) {
  let last = candleAt("100");
  const candles: Exchange["candles"] = async ({ limit }) => {
    const known = await exampleCandles();
    return [...known.slice(0, -1), last].slice(-limit);
  };
  const it = startExampleBot({
    ...options,
    config: { mode: "paper", accountName: null, ...options.config },
    exchange: Object.assign(paper, { candles }, options.exchange),
  });
  let generation = it.config.generation;
  let config: BotConfig = it.config;
  const show = async (at: string) => {
    const candle = candleAt(at);
    last = candle;
    const streamed = { symbol: SYMBOL, candle, closed: false, sentAtMs: Date.now() };
    paper.observe(streamed);
    it.bot.candleArrived(streamed);
    await pass(500);
  };
  const apply = async (change: Partial<BotConfig>) => {
    generation += 1;
    config = { ...config, ...change, generation };
    it.bot.applyConfig(config);
    await pass(500);
  };
  const results = (): readonly RequestResult[] =>
    it.records.flatMap((body) => (body.type === "request" ? [body.result] : []));
  it.grantSession({ ...exampleSession, ...session });
  await pass(1_000);
  await show("100");
  return {
    ...it,
    paper,
    show,
    apply,
    /** What became of the requests: status, or why it was refused. */
    results: () => results().map(({ status, reason }) => reason ?? status),
    result: () => results().at(-1),
    entries: () => it.ordersRecorded().filter(({ purpose }) => purpose === "entry"),
    held: async () => (await paper.position(SYMBOL)).held,
    trades: () => it.records.flatMap((body) => (body.type === "trade" ? [body.trade] : [])),
  };
}

/** What the stream says of a candle in progress. */
const inProgressNow = () => ({ symbol: SYMBOL, closed: false, sentAtMs: Date.now() });

test("a candle that was missed closes nothing that somebody asked for since the one before it", async () => {
  const shown = [...(await exampleCandles())];
  const candles: Exchange["candles"] = async ({ sinceMs = 0, limit }) =>
    shown.filter(({ openTimeMs }) => openTimeMs >= sinceMs).slice(-limit);
  const it = await start({ exchange: { candles } });
  const [inProgress = candleAt("100")] = shown.slice(-1);
  await it.apply({ requests: [ask("Order", { side: "short" })] });
  it.paper.observe({ ...inProgressNow(), candle: inProgress });
  await pass(500);
  expect((await it.held())?.side).toBe("short");
  const candle = { ...inProgress, openTimeMs: (NEWEST + 1) * MINUTE };
  shown.push(candle);
  for (let push = 0; push < 3; push += 1) {
    it.bot.candleArrived({ ...inProgressNow(), candle });
    await pass(500);
    it.paper.observe({ ...inProgressNow(), candle });
  }
  // At the missed close the strategy wanted shorts closed.
  expect((await it.held())?.side).toBe("short");
});

/** As `start`, with a position that somebody asked for. */
async function startWithPosition(options: Options = {}) {
  const it = await start(options);
  await it.apply({ requests: [ask("Order")] });
  await it.show("100");
  expect(it.results()).toEqual(["begun", "done"]);
  return it;
}

const CLOSE = { id: "c0ffee00-1111-4222-8333-777777777777" };

describe("an order that somebody asks for", () => {
  test("opens within the bot's own limits, with stop and target, under an id that follows from the request", async () => {
    const it = await startWithPosition();
    const { botUid } = it.config;
    const clientOrderId = requestedEntryId({ botUid, symbol: SYMBOL }, ID);
    expect(await it.held()).toMatchObject({ side: "long" });
    expect([(await it.held())?.stopLoss, (await it.held())?.takeProfit].map(String)).toEqual([
      "99",
      "102",
    ]);
    expect(it.result()).toMatchObject({ orderId: clientOrderId, action: "Order", side: "long" });
    expect(it.result()?.message).toBe("long 50 BTC/USDT:USDT at 100");
    expect(it.lastReport()?.requests).toEqual([{ id: ID, status: "done", reason: null }]);
  });

  test("is sized and protected by the exchange's price of that moment, whatever the stream has shown last", async () => {
    const it = await start({ exchange: { candles: dearCandles } });
    await it.apply({ requests: [ask("Order")] });
    const [entry] = it.entries();
    expect(entry?.quantity).toBe("40");
    await it.show("125");
    expect(String((await it.held())?.stopLoss)).toBe("123.8");
  });

  test.each<[string, Exchange["candles"]]>([
    [
      "fails",
      async () => {
        throw new Error("no answer");
      },
    ],
    ["tells no candle", async () => []],
  ])("is refused as on stale data when the question for the price %s", async (...[, answer]) => {
    const candles: Exchange["candles"] = (query) =>
      query.limit === 1 ? answer(query) : exampleCandles();
    const it = await start({ exchange: { candles } });
    await it.apply({ requests: [ask("Order")] });
    expect(it.results()).toEqual(["StaleData"]);
    await it.show("100");
    expect(await it.held()).toBeUndefined();
  });

  test.each(["ClosePosition", "CancelOrders"] as const)(
    "is not sent when %s comes while its price is asked for",
    async (action) => {
      const { promise, resolve } = Promise.withResolvers<readonly Candle[]>();
      const candles: Exchange["candles"] = ({ limit }) =>
        limit === 1 ? promise : exampleCandles();
      const it = await start({ exchange: { candles } });
      await it.apply({ requests: [ask("Order")] });
      await it.apply({ requests: [ask("Order"), ask(action, CLOSE)] });
      resolve([candleAt("100")]);
      await it.show("100");
      expect(it.entries()).toEqual([]);
      expect(it.results()).toEqual(["Withdrawn", "begun", "done"]);
    },
  );

  test("is not done again, however often it is read and whatever has become of its position", async () => {
    const it = await startWithPosition();
    await it.apply({ autoTrade: true });
    await it.show("98");
    expect(await it.held()).toBeUndefined();
    await it.apply({});
    await it.show("98");
    expect(new Set(it.entries().map(({ clientOrderId }) => clientOrderId)).size).toBe(1);
    expect(it.results()).toEqual(["begun", "done"]);
  });

  test("is told by the next process as what it was, when the one before did not live to tell", async () => {
    const before = await start();
    await before.apply({ requests: [ask("Order")] });
    await before.show("100");
    const [begun] = before.records.flatMap((body) =>
      body.type === "request" ? [body.result] : [],
    );
    const [openTrade] = before.trades();
    await before.bot.stop("killed");
    const { paper } = before;
    const session = {
      requests: begun === undefined ? [] : [begun],
      openTrades: openTrade === undefined ? [] : [openTrade],
    };
    const requests = [ask("Order")];
    // The id outlives a change of the bot's settings.
    const it = await start({ paper, session, config: { requests, timeframe: "5m" } });
    expect(it.results()).toEqual(["done"]);
    expect(text((await it.held())?.quantity ?? price("0"))).toBe("50");
  });

  test("that is closed and told nowhere is found at the exchange, also after its time", async () => {
    const before = await startWithPosition();
    await before.show("98");
    await before.bot.stop("killed");
    const requests = [ask("Order", { notAfter: inMs(-1_000) })];
    const it = await start({ paper: before.paper, config: { requests, timeframe: "5m" } });
    expect(it.result()).toMatchObject({ status: "done", message: "opened 50" });
    expect(await it.held()).toBeUndefined();
  });

  test.each<[string, Options, Partial<BotRequest>, string]>([
    ["a paused bot", { config: { state: "Paused" } }, {}, "NotRunning"],
    ["autoTrade off", { config: { autoTrade: false } }, {}, "AutoTradeOff"],
    [
      "a halt",
      { config: { halts: [{ name: "h", uid: "u", action: "BlockEntries", symbols: null }] } },
      {},
      "Halted",
    ],
    ["silent candles", { candleAgeMs: () => 100_000 }, {}, "StaleData"],
    ["an intent that is not taken", { appendIntent: async () => "refused" }, {}, "IntentRefused"],
    ["no time left", {}, { notAfter: inMs(START - Date.now() + 5_000) }, "expired"],
    ["a time that says nothing", {}, { notAfter: "soon" }, "expired"],
    ["a time that is far away", {}, { notAfter: "2027-01-01T00:00:00Z" }, "TooFarAhead"],
    ["another symbol", {}, { symbol: OTHER_SYMBOL }, "SymbolNotTraded"],
    [
      "an exchange whose time is another",
      { exchange: { clock: () => ({ skewMs: -59_000, uncertaintyMs: 0 }) } },
      {},
      "expired",
    ],
  ])("is refused by name with %s, and for good", async (...[, options, change, reason]) => {
    const it = await start(options);
    await it.apply({ requests: [ask("Order", change)] });
    expect(it.results().at(-1)).toBe(reason);
    const answers = it.results().length;
    await it.apply({ state: "Running", autoTrade: true, halts: [] });
    await it.show("100");
    expect(await it.held()).toBeUndefined();
    expect(it.results()).toHaveLength(answers);
  });

  test("is refused without a lease, beside a position, and by a pod that was replaced not even answered", async () => {
    const it = await start();
    it.journal.leaseMs = 5_000;
    await it.apply({ requests: [ask("Order")] });
    expect(it.results()).toEqual(["begun", "NoLease"]);
    it.journal.leaseMs = 15_000;
    await it.apply({ requests: [ask("Order", { id: ID.replace("c0", "d0") })] });
    await it.show("100");
    await it.apply({ requests: [ask("Order", { id: ID.replace("c0", "e0"), side: "short" })] });
    expect(it.results().slice(-3)).toEqual(["begun", "done", "PositionOpen"]);
    it.journal.standing = "stale";
    await it.apply({ requests: [ask("ClosePosition", CLOSE)] });
    await it.show("100");
    expect(it.results()).toHaveLength(5);
    expect(await it.held()).toMatchObject({ side: "long" });
  });

  test("whose time runs out while its intent is written is not sent", async () => {
    const it = await start({ appendIntent: slowly });
    await it.apply({ requests: [ask("Order", { notAfter: inMs(6_500) })] });
    await pass(1_000);
    expect(it.results()).toEqual(["begun", "expired"]);
    expect(it.entries()).toMatchObject([{ status: "cancelled", code: "Expired" }]);
    await it.show("100");
    expect(await it.held()).toBeUndefined();
  });

  test("waits for the journal's memory, and is over when that comes too late", async () => {
    const it = startExampleBot({
      exchange: playMoney(),
      config: { mode: "paper", requests: [ask("Order")] },
    });
    await pass(55_000);
    expect(it.records.filter(({ type }) => type === "request")).toEqual([]);
    it.grantSession();
    await pass(1_000);
    expect(it.lastReport()?.requests).toEqual([{ id: ID, status: "expired", reason: null }]);
  });
});

describe("a closing that somebody asks for", () => {
  test.each<[string, Partial<BotConfig>, number]>([
    ["a running bot", {}, 15_000],
    ["a paused one", { state: "Paused" }, 15_000],
    [
      "a halted one without a lease",
      { halts: [{ name: "h", uid: "u", action: "BlockEntries", symbols: null }] },
      0,
    ],
  ])("leaves %s with nothing, for the reason manual", async (...[, change, leaseMs]) => {
    const it = await startWithPosition();
    it.journal.leaseMs = leaseMs;
    await it.apply({ ...change, requests: [ask("ClosePosition", CLOSE)] });
    await it.show("100");
    await it.show("100");
    expect(await it.held()).toBeUndefined();
    expect(it.trades().at(-1)).toMatchObject({ reason: "manual", exitPrice: "100" });
    expect(it.results().slice(2)).toEqual(["begun", "done"]);
    expect(it.result()?.orderId).toBe(it.trades()[0]?.id);
  });

  test("is done at once where nothing is open", async () => {
    const it = await start();
    await it.apply({ requests: [ask("ClosePosition")] });
    expect(it.results()).toEqual(["begun", "done"]);
    expect(it.ordersRecorded()).toEqual([]);
  });

  test("that was begun is gone on with by the next process, also after its time; another is not begun any more", async () => {
    const before = await startWithPosition();
    const [openTrade] = before.trades();
    await before.bot.stop("killed");
    const request = ask("ClosePosition", { ...CLOSE, notAfter: inMs(-60_000) });
    const openTrades = openTrade === undefined ? [] : [openTrade];
    const late = await start({
      paper: before.paper,
      session: { openTrades },
      config: { requests: [request] },
    });
    expect(late.results()).toEqual(["expired"]);
    expect(await late.held()).toBeDefined();
    await late.bot.stop("killed");
    const { id, symbol, action } = request;
    const told = { id, symbol, action, side: null, reason: null, at: inMs(0) };
    const begun: RequestResult = {
      ...told,
      orderId: openTrade?.id ?? null,
      status: "begun",
      message: "the bot is doing it",
    };
    const other = { ...begun, orderId: null };
    const later = await start({ paper: before.paper, session: { openTrades, requests: [other] } });
    expect(later.results()).toEqual(["done"]);
    expect(await later.held()).toBeDefined();
    await later.bot.stop("killed");
    const it = await start({ paper: before.paper, session: { openTrades, requests: [begun] } });
    await it.show("100");
    await it.show("100");
    expect(it.results()).toEqual(["done"]);
    expect(await it.held()).toBeUndefined();
  });
});

describe("a cancellation that somebody asks for", () => {
  test("ends an entry that has not filled", async () => {
    const it = await start();
    await it.apply({ requests: [ask("Order")] });
    expect(await it.paper.openOrders(SYMBOL)).toHaveLength(1);
    await it.apply({ requests: [ask("Order"), ask("CancelOrders", CLOSE)] });
    await pass(2_000);
    expect(await it.paper.openOrders(SYMBOL)).toEqual([]);
    await it.show("100");
    expect(await it.held()).toBeUndefined();
    expect(it.results().toSorted()).toEqual(["NotFilled", "begun", "begun", "done"]);
  });

  test("leaves a position its stop", async () => {
    const it = await startWithPosition();
    await it.apply({ requests: [ask("CancelOrders", CLOSE)] });
    await pass(2_000);
    expect(it.results().slice(2)).toEqual(["begun", "done"]);
    expect(String((await it.held())?.stopLoss)).toBe("99");
  });
});

describe("an order that is followed by what takes it back", () => {
  test.each(["ClosePosition", "CancelOrders"] as const)(
    "is not sent when %s is read with it",
    async (action) => {
      const requests = [ask("Order"), ask(action, CLOSE)];
      const it = await start();
      await it.apply({ requests });
      await it.show("100");
      const started = await start({ config: { requests } });
      await started.show("100");
      for (const each of [it, started]) {
        expect(await each.held()).toBeUndefined();
        expect(each.entries()).toEqual([]);
        expect(each.results()).toEqual(["Withdrawn", "begun", "done"]);
      }
    },
  );

  test("is not sent by a process that goes on with it, also while it is looked for", async () => {
    const { id, symbol, action } = ask("Order");
    const told = { id, symbol, action, side: "long", reason: null, orderId: null } as const;
    const begun: RequestResult = { ...told, at: inMs(0), status: "begun", message: "" };
    const paper = playMoney();
    const options = { paper, exchange: { findOrder }, session: { requests: [begun] } };
    const it = await start({ ...options, config: { requests: [ask("Order")] } });
    await it.apply({ requests: [ask("Order"), ask("ClosePosition", CLOSE)] });
    await pass(5_000);
    await it.show("100");
    expect(it.entries()).toEqual([]);
    expect(it.results().toSorted()).toEqual(["Withdrawn", "begun", "done"]);
  });

  test("is sent when it stands after it", async () => {
    const it = await start();
    await it.apply({ requests: [ask("ClosePosition", CLOSE), ask("Order")] });
    await it.show("100");
    expect(await it.held()).toBeDefined();
  });
});

test("a closing is not told as done while nobody knows what is open", async () => {
  let isHidden = false;
  const paper = playMoney();
  const position = paper.position.bind(paper);
  const hiding: typeof position = async (symbol) => {
    if (isHidden) throw new Error("no answer");
    return position(symbol);
  };
  const it = await start({ paper, exchange: { position: hiding } });
  isHidden = true;
  await it.apply({ requests: [ask("ClosePosition")] });
  await pass(3_000);
  expect(it.results()).toEqual(["begun"]);
  const begunAt = it.result()?.at;
  isHidden = false;
  await pass(20_000);
  expect(it.results()).toEqual(["begun", "done"]);
  // An entry that was sent before the end, and after it was begun, is not what it is about (reconcile.ts).
  expect(it.result()?.at).toBe(begunAt);
});

test("a request that begins again with other content is not done", async () => {
  const { id, symbol, action } = ask("Order");
  const told = { id, symbol, action, side: "short", reason: null, orderId: null } as const;
  const begun: RequestResult = { ...told, at: inMs(0), status: "begun", message: "" };
  const it = await start({ session: { requests: [begun] }, config: { requests: [ask("Order")] } });
  await it.show("100");
  expect(it.results()).toEqual(["Withdrawn"]);
  expect(it.entries()).toEqual([]);
});

test("a closing that meets an entry which is then refused is answered", async () => {
  const it = await start({ exchange: { submitEntry } });
  await it.apply({ requests: [ask("Order")] });
  await it.apply({ requests: [ask("Order"), ask("ClosePosition", CLOSE)] });
  await pass(2_000);
  expect(it.results().toSorted()).toEqual(["ExchangeRefused", "begun", "begun", "done"]);
});

test("what is asked for waits until the exchange's time is known", async () => {
  let skewMs: number | undefined;
  const clock = () => (skewMs === undefined ? undefined : { skewMs, uncertaintyMs: 0 });
  const it = await start({ exchange: { clock } });
  await it.apply({ requests: [ask("ClosePosition"), ask("Order", CLOSE)] });
  await pass(2_000);
  expect(it.results()).toEqual([]);
  skewMs = -59_500;
  await pass(500);
  expect(it.results().at(0)).toBe("expired");
});

test("a bot that is stopped ends only when it has answered, also while the exchange's time is not known", async () => {
  let isKnown = true;
  const clock = () => (isKnown ? { skewMs: 0, uncertaintyMs: 0 } : undefined);
  const it = await start({ exchange: { clock } });
  const ended = vi.fn<() => void>();
  void it.bot.finished.then(ended);
  isKnown = false;
  await it.apply({ state: "Stopped", requests: [ask("ClosePosition"), ask("Order", CLOSE)] });
  await pass(20_000);
  expect(ended).not.toHaveBeenCalled();
  // The operator would end the pod of a bot whose last word this is.
  expect(it.lastReport()).toMatchObject({ state: "Stopped", flat: false, openSymbols: [] });
  isKnown = true;
  await pass(1_000);
  expect(it.results()).toEqual(["begun", "begun", "NotRunning", "done"]);
  expect(await it.bot.finished).toMatchObject({ flat: true });
});

test("a symbol that left the settings is answered for when the exchange's time is known again", async () => {
  let isKnown = true;
  const clock = () => (isKnown ? { skewMs: 0, uncertaintyMs: 0 } : undefined);
  const it = await start({ exchange: { clock } });
  isKnown = false;
  await it.apply({ symbols: [OTHER_SYMBOL], requests: [ask("ClosePosition")] });
  await pass(5_000);
  expect(it.results()).toEqual([]);
  isKnown = true;
  await pass(1_000);
  expect(it.results()).toEqual(["begun", "done"]);
});

test("neither a request that is past nor one beside a halt enables a bot that has disabled itself", async () => {
  const session = { errors: { generation: 1, count: 5 } };
  const requests = [ask("CancelOrders", { notAfter: inMs(-1) })];
  const restarted = await start({ session, config: { generation: 3, requests } });
  expect(restarted.lastReport()?.consecutiveErrors).toBe(5);
  const it = await start({ session });
  const halt = { name: "h", uid: "u", action: "BlockEntries", symbols: null } as const;
  await it.apply({ requests: [ask("CancelOrders")], halts: [halt] });
  expect(it.lastReport()?.blocked.map(({ reason }) => reason)).toContain("Disabled");
  await it.apply({ risk: { ...it.config.risk, leverage: 2 } });
  expect(it.lastReport()?.consecutiveErrors).toBe(0);
  it.grantSession({ ...exampleSession, ...session });
  await pass(500);
  expect(it.lastReport()?.consecutiveErrors).toBe(0);
});

test("a request does not enable a bot that has disabled itself; another change does", async () => {
  const errors = { generation: 1, count: 5 };
  const it = await start({ session: { errors } });
  const blocked = () => it.lastReport()?.blocked.map(({ reason }) => reason);
  expect(blocked()).toEqual(["Disabled"]);
  await it.apply({ requests: [ask("Order")] });
  expect(it.results()).toEqual(["begun", "Disabled"]);
  expect(blocked()).toEqual(["Disabled"]);
  await it.apply({ timeframe: "5m" });
  expect(blocked()).not.toContain("Disabled");
  const restarted = await start({
    session: { errors },
    config: { generation: 2, requests: [ask("CancelOrders")] },
  });
  expect(restarted.lastReport()?.consecutiveErrors).toBe(5);
  const changed = await start({ session: { errors }, config: { generation: 2 } });
  expect(changed.lastReport()?.consecutiveErrors).toBe(0);
});

test("what was told as refused is not sent when the journal has lost that end", async () => {
  let answer: "unconfirmed" | "appended" = "unconfirmed";
  const it = await start({ appendIntent: async () => answer });
  await it.apply({ requests: [ask("Order")] });
  await it.show("100");
  expect(it.results()).toEqual(["begun", "IntentUnconfirmed"]);
  const [begun] = it.records.flatMap((body) => (body.type === "request" ? [body.result] : []));
  answer = "appended";
  it.grantSession({
    ...exampleSession,
    epoch: exampleSession.epoch + 1,
    requests: begun === undefined ? [] : [begun],
  });
  await pass(3_000);
  await it.show("100");
  expect(await it.held()).toBeUndefined();
  expect(it.results()).toEqual(["begun", "IntentUnconfirmed", "IntentUnconfirmed"]);
});
