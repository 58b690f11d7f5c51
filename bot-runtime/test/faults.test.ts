import { setTimeout as sleep } from "node:timers/promises";
import { type BotConfig, Risk } from "@tradingbots/crds";
import { afterEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { createExchange } from "../src/exchange/bybit-ccxt.ts";
import { price, quantity } from "../src/money.ts";
import { type Fault, FaultProxy, type ProxiedRequest } from "./fault-proxy.ts";
import {
  accountOf,
  changeState,
  createWorld,
  CREDENTIALS,
  endWorld,
  playUntil,
  SYMBOL,
  until,
  untilTrading,
  type World,
} from "./world.ts";

let world: World | undefined;
let proxy: FaultProxy | undefined;

/** Enters often and leaves often. */
const busy: Partial<BotConfig> = {
  strategy: { name: "rsi", params: { buyBelow: 40, sellAbove: 60 } },
};
/** Enters soon and does not leave by itself. */
const holding: Partial<BotConfig> = {
  strategy: { name: "rsi", params: { buyBelow: 50, sellAbove: 99.9, direction: "long" } },
  risk: Risk.parse({ leverage: 2, stopLossPercent: 20, takeProfitPercent: 20 }),
};

/** A bot behind a proxy. */
async function start(config = busy): Promise<{ it: World; faulty: FaultProxy }> {
  const faulty = new FaultProxy();
  proxy = faulty;
  const it = await createWorld({
    restUrl: (url) => faulty.start(url),
    config,
  });
  world = it;
  await it.bot.start("pod-1");
  await untilTrading(it);
  return { it, faulty };
}

afterEach(async () => {
  if (world !== undefined) await endWorld(world);
  await proxy?.close();
  world = undefined;
  proxy = undefined;
});

const isEntry = ({ path, body }: ProxiedRequest) =>
  path === "/v5/order/create" && !body.includes('"reduceOnly":true');
const isExit = ({ path, body }: ProxiedRequest) =>
  path === "/v5/order/create" && body.includes('"reduceOnly":true');
const entriesOf = (it: World) =>
  accountOf(it).orders.filter((order) => order.orderLinkId !== "" && !order.reduceOnly);
const closedTrades = ({ journal }: World) =>
  journal.trades.filter(({ closedAt }) => closedAt !== null);
const positionIsOpen = (it: World) => accountOf(it).positions.length > 0;

/** Applies a fault to the first request that matches, and lets everything else pass. */
function once(matches: (request: ProxiedRequest) => boolean, fault: Fault) {
  let spoiled = false;
  return (request: ProxiedRequest): Fault => {
    if (spoiled || !matches(request)) return { kind: "pass" };
    spoiled = true;
    return fault;
  };
}

/** No id twice at the exchange, and the first entry is in the journal as the trade that it became. */
async function expectOneOrderPerIntent(it: World): Promise<void> {
  await playUntil(it, "a trade has closed", () => closedTrades(it).length > 0);
  const ids = entriesOf(it).map(({ orderLinkId }) => orderLinkId);
  expect(new Set(ids).size).toBe(ids.length);
  expect(it.journal.intents.has(ids[0] ?? "")).toBe(true);
  expect(closedTrades(it)[0]?.id).toBe(ids[0]);
}

describe("the exchange accepted the entry, but the answer is", () => {
  test.each<[string, Fault]>([
    ["lost with the connection", { kind: "break-after" }],
    ["truncated", { kind: "truncate" }],
    ["stalled in the middle", { kind: "stall" }],
    ["empty", { kind: "empty" }],
    ["a 502", { kind: "status", status: 502 }],
    ["never delivered", { kind: "swallow-answer" }],
    ["that the id is a duplicate", { kind: "send-twice" }],
  ])("%s: looked up, not sent again", async (_name, fault) => {
    const { it, faulty } = await start();
    faulty.fault = once(isEntry, fault);
    await playUntil(it, "an entry was sent", () => entriesOf(it).length > 0);
    const first = entriesOf(it)[0]?.orderLinkId;
    await until("the outcome is recorded as unknown, then settled", () => {
      const statuses = it.journal
        .ofType("order")
        .filter((order) => order.clientOrderId === first)
        .map(({ status }) => status);
      return statuses.includes("unknown") && statuses.length > 1;
    });
    expect(faulty.seen.filter(isEntry).length).toBe(1);
    await expectOneOrderPerIntent(it);
  });
});

test("an entry that never reached the exchange is over after a while, and the bot goes on", async () => {
  const { it, faulty } = await start();
  faulty.fault = once(isEntry, { kind: "break-before" });
  await playUntil(it, "an entry was tried", () => faulty.seen.some(isEntry));
  const [tried] = [...it.journal.intents.keys()];
  await until("it is recorded as never received", () =>
    it.journal
      .ofType("order")
      .some((order) => order.clientOrderId === tried && order.code === "NotFound"),
  );
  await playUntil(it, "another entry follows", () => entriesOf(it).length > 0);
  expect(entriesOf(it).some((order) => order.orderLinkId === tried)).toBe(false);
}, 120_000);

test("an exit whose answer is lost is looked up and the position closed once", async () => {
  const { it, faulty } = await start();
  await playUntil(it, "a position is open", () => positionIsOpen(it));
  faulty.fault = once(isExit, { kind: "break-after" });
  await changeState(it, "Stopped");
  await until("the bot has ended", () => {
    it.exchange.control.step(1);
    return !it.bot.running;
  });
  expect(await it.bot.termination()).toMatchObject({ flat: true });
  const exits = accountOf(it).orders.filter(
    (order) => order.reduceOnly && order.orderLinkId !== "",
  );
  expect(exits.filter(({ status }) => status === "Filled").length).toBeLessThanOrEqual(1);
  expect(positionIsOpen(it)).toBe(false);
});

test("kill -9 after the exchange accepted and before the bot knows: the next process takes the order up", async () => {
  const { it, faulty } = await start();
  faulty.fault = (request) => {
    if (!isEntry(request)) return { kind: "pass" };
    // The exchange has it; the process dies before the answer could arrive.
    process.kill(it.bot.pid, "SIGKILL");
    return { kind: "swallow-answer" };
  };
  await playUntil(it, "the bot was killed", () => !it.bot.running);
  faulty.fault = () => ({ kind: "pass" });
  const [intended] = [...it.journal.intents.keys()];
  expect(it.journal.ofType("order")).toEqual([]);
  await sleep(50);
  // The same pod: only the container restarts.
  await it.bot.start("pod-1");
  await until("the order is known again", () =>
    it.journal.ofType("order").some((order) => order.clientOrderId === intended),
  );
  await playUntil(it, "its trade has closed", () =>
    closedTrades(it).some(({ id }) => id === intended),
  );
  expect(entriesOf(it).filter(({ orderLinkId }) => orderLinkId === intended).length).toBe(1);
  expect(new Set(entriesOf(it).map(({ orderLinkId }) => orderLinkId)).size).toBe(
    entriesOf(it).length,
  );
});

test("kill -9 between the journal and the exchange: the intent is closed, the order never sent", async () => {
  const { it, faulty } = await start();
  faulty.fault = (request) => {
    if (!isEntry(request)) return { kind: "pass" };
    process.kill(it.bot.pid, "SIGKILL");
    return { kind: "break-before" };
  };
  await playUntil(it, "the bot was killed", () => !it.bot.running);
  faulty.fault = () => ({ kind: "pass" });
  const [intended] = [...it.journal.intents.keys()];
  await it.bot.start("pod-1");
  const isSettled = () =>
    it.journal
      .ofType("order")
      .some(({ clientOrderId, code }) => clientOrderId === intended && code === "NotFound");
  await until("the intent is settled", isSettled);
  expect(entriesOf(it).some(({ orderLinkId }) => orderLinkId === intended)).toBe(false);
}, 120_000);

test("a position whose stop cannot be moved keeps the one that it was opened with", async () => {
  const { it, faulty } = await start(holding);
  faulty.fault = ({ path }) =>
    path === "/v5/position/trading-stop" ? { kind: "status", status: 503 } : { kind: "pass" };
  await playUntil(it, "a position is reported", () => it.journal.report?.positions.length === 1);
  expect(accountOf(it).positions[0]?.stopLoss).toMatch(/\d/);
  expect(it.journal.report?.protected).toBe(true);
});

test("a journal that stores the intent and does not answer: nothing is sent", async () => {
  const { it } = await start();
  it.journal.mode = "silent-after-intent";
  await playUntil(it, "an intent was written", () => it.journal.intents.size > 0);
  await until("the refusal is recorded", () =>
    it.journal.ofType("order").some(({ code }) => code === "IntentUnconfirmed"),
  );
  expect(entriesOf(it)).toEqual([]);
});

/** The account's owner at the exchange's own page, past the bot. */
async function owner(it: World) {
  const client = createExchange({
    key: { reveal: () => CREDENTIALS, scrub: (text) => text },
    testnet: false,
    restUrl: it.exchange.url,
  });
  await client.prepare([SYMBOL]);
  return client;
}

const withoutStop = { stopLoss: price("0"), takeProfit: undefined };

test("a stop that somebody removes is put back", async () => {
  const { it } = await start(holding);
  await playUntil(it, "a position is reported", () => it.journal.report?.positions.length === 1);
  const client = await owner(it);
  expect((await client.protect(SYMBOL, withoutStop)).kind).toBe("accepted");
  expect(accountOf(it).positions[0]?.stopLoss).toBeNull();
  await until("the stop is back", () => accountOf(it).positions[0]?.stopLoss !== null);
});

test("stops that outlive their position are cancelled by their ids, and nobody else's order", async () => {
  const { it, faulty } = await start(holding);
  it.exchange.control.changeSettings({ orphanedStopsMs: 3_600_000 });
  await playUntil(it, "a position is reported", () => it.journal.report?.positions.length === 1);
  const somebody = await owner(it);
  const all = quantity(accountOf(it).positions[0]?.size ?? "0");
  const exit = {
    symbol: SYMBOL,
    clientOrderId: "exit-by-hand",
    side: "sell",
    quantity: all,
  } as const;
  await somebody.submitExit(exit);
  // At a candle's open: the bot hears no close that would make it enter again.
  it.exchange.control.halfStep();
  const orders = () => accountOf(it).orders;
  const orphans = orders().filter(({ status }) => status === "Untriggered");
  expect(orphans.map(({ stopOrderType }) => stopOrderType)).toEqual(["StopLoss", "TakeProfit"]);
  // Waits for the next price, which never comes.
  await somebody.submitEntry({
    symbol: SYMBOL,
    clientOrderId: "by-hand",
    side: "buy",
    quantity: quantity("0.002"),
    stopLoss: price("50000"),
    takeProfit: price("200000"),
  });
  await until("they are cancelled", () => orders().every(({ status }) => status !== "Untriggered"));
  const cancelled = faulty.seen
    .filter(({ path }) => path === "/v5/order/cancel")
    .map(({ body }) => z.object({ orderId: z.string() }).parse(JSON.parse(body)).orderId);
  expect(cancelled.toSorted()).toEqual(orphans.map(({ orderId }) => orderId).toSorted());
  expect(orders().at(-1)).toMatchObject({ orderLinkId: "by-hand", status: "New" });
});

test("a position that cannot be given a stop is closed", async () => {
  const { it, faulty } = await start(holding);
  await playUntil(it, "a position is reported", () => it.journal.report?.positions.length === 1);
  const trade = it.journal.trades.at(-1)?.id;
  faulty.fault = ({ path }) => ({
    kind: path === "/v5/position/trading-stop" ? "break-before" : "pass",
  });
  const client = await owner(it);
  await client.protect(SYMBOL, withoutStop);
  await until("the position is closed", () => {
    it.exchange.control.step(1);
    return closedTrades(it).some(({ id }) => id === trade);
  });
  expect(closedTrades(it).find(({ id }) => id === trade)?.reason).toBe("unprotected");
});

test("a foreign position blocks entries, is named, and is left alone", async () => {
  const { it } = await start();
  await it.bot.end("SIGTERM");
  const somebody = await owner(it);
  const outcome = await somebody.submitEntry({
    symbol: SYMBOL,
    clientOrderId: "by-hand",
    side: "buy",
    quantity: quantity("0.002"),
    stopLoss: price("50000"),
    takeProfit: price("200000"),
  });
  expect(outcome.kind).toBe("accepted");
  it.exchange.control.step(1);
  await it.bot.start("pod-2");
  await until(
    "the foreign position is reported",
    () => it.journal.report?.blocked.some(({ reason }) => reason === "ForeignPosition") === true,
  );
  await changeState(it, "Stopped");
  await until("the bot has ended", () => !it.bot.running);
  expect(await it.bot.termination()).toMatchObject({ flat: true });
  expect(accountOf(it).positions[0]?.size).toBe("0.002");
});
