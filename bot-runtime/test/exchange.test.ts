import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  clientOf,
  KEY,
  type Prices,
  startScripted,
  SYMBOL,
} from "../../hack/exchange-simulator/test/simulator.ts";
import type { ExchangeSimulator } from "../../hack/exchange-simulator/server.ts";
import { createExchange } from "../src/exchange/bybit-ccxt.ts";
import { bybitPublic } from "../src/exchange/bybit-public.ts";
import type { EntryOrder, Exchange } from "../src/exchange/exchange.ts";
import { PaperExchange } from "../src/exchange/paper-exchange.ts";
import { createHttpClient } from "../src/http-client.ts";
import { price, quantity, text } from "../src/money.ts";

/** The adapter with unmodified ccxt against the simulator over HTTP. */

const ID = "11111111-1111-8111-8111-111111111111";
const FLAT: Prices = ["2500", "2500", "2500", "2500"];

let simulator: ExchangeSimulator;
let exchange: Exchange;

function adapter(): Exchange {
  const key = { reveal: () => KEY, scrub: (message: string) => message };
  return createExchange({ key, testnet: false, restUrl: simulator.url });
}

function paperExchange(): Exchange {
  return new PaperExchange(bybitPublic(createHttpClient(), simulator.url), Date.now, 5);
}

beforeEach(async () => {
  simulator = await startScripted(Array.from({ length: 30 }, () => FLAT));
  exchange = adapter();
  await exchange.prepare([SYMBOL]);
});
afterEach(() => simulator.close());

const entry = (change: Partial<EntryOrder> = {}): EntryOrder => ({
  symbol: SYMBOL,
  clientOrderId: ID,
  side: "buy",
  quantity: quantity("0.1"),
  stopLoss: price("2400"),
  takeProfit: price("2600"),
  ...change,
});

function account() {
  const view = simulator.control.account(KEY.apiKey);
  if (view === undefined) throw new Error("the account is gone");
  return view;
}

const CREATE = "POST /v5/order/create";

describe("an entry whose answer is spoilt is refused only when the exchange did not take it", () => {
  test.each<[string, Parameters<typeof fault>[0], string]>([
    ["reset before", { kind: "reset", when: "before" }, "unknown"],
    ["reset after", { kind: "reset", when: "after" }, "unknown"],
    ["truncated", { kind: "truncate" }, "unknown"],
    ["empty 200 before", { kind: "empty", when: "before" }, "unknown"],
    ["empty 200 after", { kind: "empty", when: "after" }, "unknown"],
    ["10000 before", { kind: "retCode", retCode: 10_000, when: "before" }, "unknown"],
    ["10000 after", { kind: "retCode", retCode: 10_000, when: "after" }, "unknown"],
    ["10016 after", { kind: "retCode", retCode: 10_016, when: "after" }, "unknown"],
    ["10006", { kind: "retCode", retCode: 10_006, when: "before" }, "refused"],
    ["110066", { kind: "retCode", retCode: 110_066, when: "before" }, "refused"],
    ["403 before", { kind: "http", status: 403, when: "before" }, "unknown"],
    ["403 after", { kind: "http", status: 403, when: "after" }, "unknown"],
    ["429", { kind: "http", status: 429, when: "before" }, "unknown"],
    ["502 after", { kind: "http", status: 502, when: "after" }, "unknown"],
    ["503 before", { kind: "http", status: 503, when: "before" }, "unknown"],
    ["twice", { kind: "twice" }, "unknown"],
  ])("%s", async (_, given, kind) => {
    fault(given);
    const outcome = await exchange.submitEntry(entry());
    expect(outcome.kind).toBe(kind);
    const orders = account().orders.filter(({ orderLinkId }) => orderLinkId === ID);
    // Nothing on the way sends a second request: neither ccxt nor the HTTP client.
    expect(simulator.control.faults().reduce((sum, rule) => sum + rule.seen, 0)).toBe(1);
    expect(orders.length).toBeLessThanOrEqual(1);
    expect(outcome.kind === "refused" && orders.length > 0).toBe(false);
    // What is unknown is told by the id.
    const look = async () => exchange.findOrder({ symbol: SYMBOL, clientOrderId: ID });
    const found = await vi.waitFor(look, { timeout: 3_000, interval: 50 }); // after a 403 it pauses
    expect(found !== undefined).toBe(orders.length === 1);
  });
});

test("a ban of the address is named, hardly asked into, and ends by itself", async () => {
  const everything = { kind: "http", status: 403, when: "before" } as const;
  simulator.control.setFaults([{ match: {}, fault: everything, times: null }]);
  const asked = () => simulator.control.faults().reduce((sum, rule) => sum + rule.seen, 0);
  const banned = {
    fault: "AddressBanned",
    message: expect.stringContaining("ends by itself") as unknown,
  };
  for (let look = 0; look < 20; look += 1) {
    await expect(exchange.position(SYMBOL)).rejects.toMatchObject(banned);
    await expect(exchange.urgent.position(SYMBOL)).rejects.toMatchObject(banned);
  }
  // What is not sent is not in doubt.
  expect(await exchange.submitEntry(entry())).toMatchObject({ kind: "refused", final: false });
  expect(asked()).toBe(1);
  await vi.waitFor(async () => {
    await exchange.position(SYMBOL).catch(() => undefined);
    expect(asked()).toBe(2);
  }, 3_000);
  simulator.control.setFaults([]);
  await vi.waitFor(() => exchange.position(SYMBOL), { timeout: 5_000, interval: 50 });
  expect((await exchange.submitEntry(entry())).kind).toBe("accepted");
});

test("a ban that lasts does not keep positions unseen for longer than 5 s", async () => {
  const everything = { kind: "http", status: 403, when: "before" } as const;
  simulator.control.setFaults([{ match: {}, fault: everything, times: null }]);
  const asked = () => simulator.control.faults().reduce((sum, rule) => sum + rule.seen, 0);
  vi.useFakeTimers({ toFake: ["performance"] });
  try {
    for (let tries = 1; tries <= 8; tries += 1) {
      await expect(exchange.position(SYMBOL)).rejects.toMatchObject({ fault: "AddressBanned" });
      expect(asked()).toBe(tries);
      vi.advanceTimersByTime(5_001);
    }
  } finally {
    vi.useRealTimers();
  }
});

test("an answer that stalls half-way ends with the request's limit, on every connection", async () => {
  const fresh = adapter();
  const paper = paperExchange();
  simulator.control.setFaults([{ match: {}, fault: { kind: "stall" }, times: null }]);
  const order = { symbol: SYMBOL, clientOrderId: ID };
  const levels = { stopLoss: price("2450"), takeProfit: undefined };
  const candles = { symbol: SYMBOL, timeframe: "1m", limit: 5 } as const;
  const looks = Promise.allSettled([
    exchange.position(SYMBOL),
    exchange.urgent.findOrder(order),
    exchange.candles(candles),
    fresh.prepare([SYMBOL]),
    paper.candles(candles),
  ]);
  const changes = await Promise.all([
    exchange.submitEntry(entry()),
    exchange.submitExit({ ...order, side: "sell", quantity: quantity("0.1") }),
    exchange.cancel(order),
    exchange.protect(SYMBOL, levels),
  ]);
  const late = { reason: { fault: "Unavailable", code: "RequestTimeout" } };
  const aborted = { reason: { fault: "Unavailable", code: "AbortError" } };
  expect(await looks).toMatchObject([late, late, late, late, aborted]);
  const unknown = { kind: "unknown", code: "RequestTimeout" };
  expect(changes).toMatchObject([unknown, unknown, unknown, unknown]);
}, 30_000);

function fault(
  given:
    | { readonly kind: "reset" | "empty"; readonly when: "before" | "after" }
    | { readonly kind: "truncate" | "twice" }
    | { readonly kind: "retCode"; readonly retCode: number; readonly when: "before" | "after" }
    | { readonly kind: "http"; readonly status: number; readonly when: "before" | "after" },
): void {
  simulator.control.setFaults([{ match: { endpoint: CREATE }, fault: given }]);
}

describe("the kill path", () => {
  test("an exit and its look-ups do not wait for candles", async () => {
    await exchange.submitEntry(entry());
    simulator.control.step(1);
    // More than a rate window of 5 s lets through.
    let fetched = 0;
    const candles = Array.from({ length: 150 }, async () => {
      await exchange.candles({ symbol: SYMBOL, timeframe: "1m", limit: 5 });
      fetched += 1;
    });
    const held = (await exchange.urgent.position(SYMBOL)).held;
    const exit = { symbol: SYMBOL, clientOrderId: `${ID.slice(0, -1)}2`, side: "sell" } as const;
    await exchange.urgent.findOrder(exit);
    const outcome = await exchange.submitExit({
      ...exit,
      quantity: held?.quantity ?? quantity("0"),
    });
    expect(outcome.kind).toBe("accepted");
    expect(fetched).toBeLessThan(150);
    await Promise.all(candles);
  });

  test("an order without a client's id, such as a stop, is cancelled by the exchange's", async () => {
    await exchange.submitEntry(entry());
    simulator.control.step(1);
    const [stop] = (await exchange.openOrders(SYMBOL)).filter(({ isProtection }) => isProtection);
    const exchangeOrderId = stop?.exchangeOrderId ?? "";
    const outcome = await exchange.cancelPlaced({ symbol: SYMBOL, exchangeOrderId });
    expect(outcome.kind).toBe("accepted");
    const left = await exchange.openOrders(SYMBOL);
    expect(left.map((order) => order.exchangeOrderId)).not.toContain(exchangeOrderId);
  });
});

test("an entry in slices: the stop covers all of it after each, and levels move for all of it", async () => {
  simulator.control.changeSettings({ fills: [{ parts: 3, rest: "follows" }] });
  await exchange.submitEntry(entry({ quantity: quantity("0.3") }));
  for (const filled of ["0.1", "0.2", "0.3"]) {
    simulator.control.halfStep();
    const { held } = await exchange.position(SYMBOL);
    expect([held && text(held.quantity), held?.stopLoss && text(held.stopLoss)]).toEqual([
      filled,
      "2400",
    ]);
    const stops = account().orders.filter(
      ({ stopOrderType, status }) => stopOrderType === "StopLoss" && status === "Untriggered",
    );
    expect(stops.map((stop) => stop.quantity)).toEqual([filled]);
  }
  const levels = { stopLoss: price("2450"), takeProfit: price("2550") };
  expect((await exchange.protect(SYMBOL, levels)).kind).toBe("accepted");
  const { held } = await exchange.position(SYMBOL);
  expect([held?.stopLoss, held?.takeProfit].map((level) => level && text(level))).toEqual([
    "2450",
    "2550",
  ]);
});

test("a rest below the minimum is closed with the whole position", async () => {
  await exchange.submitEntry(entry());
  simulator.control.step(1);
  const exit = { symbol: SYMBOL, clientOrderId: ID.replace(/1$/, "3"), side: "sell" } as const;
  const outcome = await exchange.submitExit({
    ...exit,
    quantity: quantity("0.001"),
    wholePosition: true,
  });
  expect(outcome.kind).toBe("accepted");
  simulator.control.step(1);
  expect((await exchange.position(SYMBOL)).held).toBeUndefined();
});

/** What paper and live bots ask alike is answered alike: each adapter has to pass this. */
const adapters: readonly (readonly [string, () => Exchange])[] = [
  ["live", adapter],
  ["paper", paperExchange],
];

describe.each(adapters)("trading rules of a %s bot", (_mode, open) => {
  const endpoint = "GET /v5/market/instruments-info";
  const wrongName = { kind: "retCode", retCode: 10_001, when: "before" } as const;
  const UNLISTED = "FOO/USDT:USDT";

  test("are undefined until they are known", async () => {
    const fresh = open();
    expect(fresh.market(SYMBOL)).toBeUndefined();
    expect(fresh.delisted(SYMBOL)).toBe(false);
    await fresh.prepare([SYMBOL]);
    expect(fresh.market(SYMBOL)).toMatchObject({ symbol: SYMBOL, quoteCurrency: "USDT" });
  });

  test("are undefined of what the exchange does not list, which is no fault", async () => {
    const fresh = open();
    await fresh.prepare([UNLISTED, SYMBOL]);
    expect(fresh.market(UNLISTED)).toBeUndefined();
    expect(fresh.market(SYMBOL)).toBeDefined();
    const query = { symbol: UNLISTED, timeframe: "1m", limit: 10 } as const;
    await expect(fresh.candles(query)).rejects.toMatchObject({ fault: "Refused", code: "10001" });
  });

  test("stay unknown while the exchange is away", async () => {
    simulator.control.setFaults([
      { match: {}, fault: { kind: "http", status: 503, when: "before" }, times: null },
    ]);
    const fresh = open();
    await expect(fresh.prepare([SYMBOL])).rejects.toMatchObject({ fault: "Unavailable" });
    expect(fresh.market(SYMBOL)).toBeUndefined();
    const query = { symbol: SYMBOL, timeframe: "1m", limit: 10 } as const;
    await expect(fresh.candles(query)).rejects.toMatchObject({ fault: "Unavailable" });
  });

  test("a contract whose name is called wrong trades on when the list of all has it", async () => {
    simulator.control.setFaults([{ match: { endpoint }, fault: wrongName, times: 2 }]);
    const fresh = open();
    await fresh.prepare([SYMBOL]);
    expect(fresh.market(SYMBOL)?.symbol).toBe(SYMBOL);
    expect(simulator.control.faults().map(({ seen }) => seen)).toEqual([3]);
  });

  test("no rules are known when every answer is wrong", async () => {
    simulator.control.setFaults([{ match: { endpoint }, fault: wrongName, times: null }]);
    const fresh = open();
    await expect(fresh.prepare([SYMBOL])).rejects.toMatchObject({ code: "10001" });
    expect(fresh.market(SYMBOL)).toBeUndefined();
  });
});

/** A bot that is started at this time. */
async function startedAt(timeMs: number): Promise<void> {
  vi.setSystemTime(timeMs);
  // An exchange that was updated meanwhile knows closed orders by its history alone.
  simulator.control.changeSettings({ maintenance: true });
  simulator.control.changeSettings({ maintenance: false });
  exchange = adapter();
  await exchange.prepare([SYMBOL]);
}

describe("a position older than a week, which no one question covers", () => {
  const DAY_MS = 86_400_000;
  const exitId = ID.replace(/1$/, "7");
  let openedMs: number;

  /** The exchange's clock moves; the bot's own stays behind (ccxt keeps the true Date.now), which it has to bear as well. */
  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    openedMs = Date.now();
    await exchange.submitEntry(entry());
    simulator.control.step(1);
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test.each([6.99, 7, 7.5, 14, 20])(
    "every execution is found once, after %d days",
    async (days) => {
      await startedAt(openedMs + days * DAY_MS);
      const exit = { symbol: SYMBOL, clientOrderId: exitId, side: "sell" } as const;
      await exchange.submitExit({ ...exit, quantity: quantity("0.1") });
      simulator.control.step(1);
      const found = await exchange.executions({ symbol: SYMBOL, sinceMs: openedMs });
      expect(found.map(({ clientOrderId, atMs }) => [clientOrderId, atMs])).toEqual([
        [ID, openedMs],
        [exitId, openedMs + days * DAY_MS],
      ]);
      expect(account().executions).toHaveLength(2);
    },
  );

  test("executions on either side of where two questions meet are found once", async () => {
    // The windows are an hour shorter than the exchange's seven days.
    const borderMs = openedMs + 7 * DAY_MS - 3_600_000;
    const times = [borderMs - 1, borderMs, borderMs + 1, borderMs + 2];
    for (const [index, timeMs] of times.entries()) {
      await startedAt(timeMs);
      await exchange.submitEntry(entry({ clientOrderId: ID.replace(/.$/, `${index + 2}`) }));
      simulator.control.step(1);
    }
    await startedAt(openedMs + 8 * DAY_MS);
    const found = await exchange.executions({ symbol: SYMBOL, sinceMs: openedMs });
    expect(found.map(({ atMs }) => atMs)).toEqual([openedMs, ...times]);
  });

  test("its entry's order is not found any more: only its executions tell of it", async () => {
    await startedAt(openedMs + 8 * DAY_MS);
    expect(await exchange.findOrder({ symbol: SYMBOL, clientOrderId: ID })).toBeUndefined();
    const { held } = await exchange.position(SYMBOL);
    expect(held && text(held.quantity)).toBe("0.1");
  });
});

describe("a contract that is delisted with a position open", () => {
  test("is known as such by a process that starts afterwards, which finds how it ended", async () => {
    await exchange.submitEntry(entry());
    simulator.control.step(1);
    simulator.control.setSymbolStatus("ETHUSDT", "Closed");
    const fresh = adapter();
    await fresh.prepare([SYMBOL]);
    expect(fresh.market(SYMBOL)).toBeUndefined();
    expect((await fresh.position(SYMBOL)).held).toBeUndefined();
    const executions = await fresh.executions({ symbol: SYMBOL, sinceMs: Date.now() - 60_000 });
    expect(executions.map(({ cause }) => cause)).toEqual(["order", "delisting"]);
    const exit = { symbol: SYMBOL, clientOrderId: ID.replace(/1$/, "4"), side: "sell" } as const;
    const refused = await fresh.submitExit({ ...exit, quantity: quantity("0.1") });
    expect(refused).toMatchObject({ kind: "refused", final: true });
  });

  test("one that may only be reduced lets the position be closed", async () => {
    await exchange.submitEntry(entry());
    simulator.control.step(1);
    simulator.control.setSymbolStatus("ETHUSDT", "ReduceOnly");
    const more = await exchange.submitEntry(entry({ clientOrderId: ID.replace(/1$/, "5") }));
    expect(more).toMatchObject({ kind: "refused", code: "30228", final: true });
    const exit = { symbol: SYMBOL, clientOrderId: ID.replace(/1$/, "6"), side: "sell" } as const;
    expect((await exchange.submitExit({ ...exit, quantity: quantity("0.1") })).kind).toBe(
      "accepted",
    );
  });
});

test("maintenance: reads are unavailable, an entry is unknown, and nothing was taken", async () => {
  simulator.control.changeSettings({ maintenance: true });
  await expect(exchange.position(SYMBOL)).rejects.toMatchObject({ fault: "Unavailable" });
  expect((await exchange.submitEntry(entry())).kind).toBe("unknown");
  expect(account().orders).toEqual([]);
});

test("hedge mode is a fault, at the start and whenever it is switched on", async () => {
  expect((await exchange.position(SYMBOL)).held).toBeUndefined();
  // The account's owner switches the mode at the exchange's own page.
  await clientOf(simulator).setPositionMode(true, SYMBOL);
  await expect(exchange.position(SYMBOL)).rejects.toMatchObject({ fault: "HedgeMode" });
});
