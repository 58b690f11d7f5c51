import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { Decimal } from "../src/money.ts";
import {
  accountOf,
  changeState,
  createWorld,
  endWorld,
  playUntil,
  until,
  untilTrading,
  type World,
  type WorldOptions,
} from "./world.ts";

let world: World | undefined;

async function start(options: WorldOptions = {}): Promise<World> {
  world = await createWorld(options);
  await world.bot.start("pod-1");
  return world;
}

afterEach(async () => {
  if (world !== undefined) await endWorld(world);
  world = undefined;
});

const sum = (values: readonly string[]) =>
  values.reduce((total, value) => total.plus(value), new Decimal(0));
const fact = (each: { executionId: string; price: string; quantity: string; fee: string }) =>
  [each.executionId, each.price, each.quantity, each.fee].join(" ");
const closedTrades = ({ journal }: World) =>
  journal.trades.filter(({ closedAt }) => closedAt !== null);
const openTrade = ({ journal }: World) => journal.trades.find(({ closedAt }) => closedAt === null);
const entriesOf = (given: World) =>
  accountOf(given).orders.filter((order) => order.orderLinkId !== "" && !order.reduceOnly);

const halt = (action: "CancelOrders" | "Flatten") => ({
  name: action.toLowerCase(),
  uid: action,
  action,
  symbols: null,
});

describe("a bot on the simulator", () => {
  test("trades: journal, fills and exchange agree to the last decimal", async () => {
    const it = await start();
    await untilTrading(it);
    await playUntil(it, "five trades have closed", () => closedTrades(it).length >= 5);
    await changeState(it, "Stopped");
    await until("the bot reports its end", () => {
      it.exchange.control.step(1);
      return !it.bot.running;
    });
    expect(await it.bot.termination()).toMatchObject({ flat: true, epoch: 1 });

    const { executions, wallet } = accountOf(it);
    const trades = closedTrades(it);
    expect(openTrade(it)).toBeUndefined();
    // Every execution is one fill of one trade, with the exchange's own price, quantity and fee.
    const fills = new Set(it.journal.ofType("fill").map(fact));
    expect(fills).toEqual(new Set(executions.map(fact)));
    expect(sum(trades.map(({ fees }) => fees)).toFixed()).toBe(
      sum(executions.map(({ fee }) => fee)).toFixed(),
    );
    // What the trades earned is what the account has more, exactly.
    const earned = sum(trades.map(({ pnl }) => pnl ?? "0"));
    expect(earned.plus(10_000).toFixed()).toBe(new Decimal(wallet.balance).toFixed());
    // No order twice, every intent one order; but for one that the change to Stopped overtook, and those that a busy machine
    // brought too late for the exchange's receive window. The journal names them.
    const ids = entriesOf(it).map(({ orderLinkId }) => orderLinkId);
    expect(new Set(ids).size).toBe(ids.length);
    const unsent = it.journal.ofType("order").filter(({ status, exchangeOrderId }) => {
      return ["cancelled", "refused"].includes(status) && exchangeOrderId === null;
    });
    const overtaken = unsent.filter(({ status }) => status === "cancelled");
    expect(overtaken.length).toBeLessThanOrEqual(1);
    const explained = unsent.map(({ clientOrderId }) => clientOrderId);
    expect(new Set([...ids, ...explained])).toEqual(new Set(it.journal.intents.keys()));
    const reasons = new Set(trades.map(({ reason }) => reason));
    expect(
      [...reasons].every((reason) =>
        ["stop", "target", "signal", "stopped"].includes(reason ?? ""),
      ),
    ).toBe(true);
  });

  test("moves stop and target to the fill and keeps them there", async () => {
    const it = await start();
    await untilTrading(it);
    await playUntil(it, "a position is open", () => openTrade(it) !== undefined);
    await until("the position is protected at the fill", () => {
      const [position] = it.journal.report?.positions ?? [];
      const trade = openTrade(it);
      if (position === undefined || trade === undefined) return false;
      const side = trade.side === "long" ? -1 : 1;
      const stop = new Decimal(trade.entryPrice)
        .times(1 + side * 0.003)
        .toDecimalPlaces(1, Decimal.ROUND_HALF_UP);
      return position.stopLoss === stop.toFixed() && position.takeProfit !== null;
    });
    expect(it.journal.report).toMatchObject({ protected: true, flat: false });
  });

  test("SIGTERM leaves the position and its stop alone; the next pod takes it up and ends it", async () => {
    const it = await start();
    await untilTrading(it);
    await playUntil(it, "a position is open", () => openTrade(it) !== undefined);
    await sleep(500);
    expect(await it.bot.end("SIGTERM")).toBe(0);
    expect(await it.bot.termination()).toEqual({ flat: false, epoch: 1, reason: "SIGTERM" });
    expect(accountOf(it).positions[0]?.stopLoss).toMatch(/\d/);
    const before = entriesOf(it).length;

    await it.bot.start("pod-2");
    await until(
      "the second pod reports the position",
      () => it.journal.report?.positions.length === 1,
    );
    expect(it.journal.report?.blocked.map(({ reason }) => reason)).not.toContain("ForeignPosition");
    const id = openTrade(it)?.id;
    await playUntil(it, "the trade has ended", () =>
      closedTrades(it).some((trade) => trade.id === id),
    );
    expect(entriesOf(it).length).toBeGreaterThanOrEqual(before);
    expect(entriesOf(it).filter((order) => order.orderLinkId === id).length).toBe(1);
  });

  test("a halt ends entries within two seconds, its lifting resumes them", async () => {
    const it = await start({
      config: { strategy: { name: "rsi", params: { buyBelow: 49.9, sellAbove: 50.1 } } },
    });
    await untilTrading(it);
    const halts = [
      { name: "everything", uid: "u", action: "BlockEntries" as const, symbols: null },
    ];
    await it.bot.configure({ ...it.config, halts });
    const from = Date.now();
    await until("the halt is reported", () => it.journal.report?.halts.includes("u") === true);
    expect(Date.now() - from).toBeLessThan(2_000);
    const before = entriesOf(it).length;
    for (let candle = 0; candle < 40; candle += 1) {
      it.exchange.control.step(1);
      await sleep(20);
    }
    expect(entriesOf(it).length).toBe(before);
    expect(it.journal.events.some((event) => event.includes("Halted"))).toBe(true);
    await it.bot.configure({ ...it.config, generation: 2 });
    await until("the halt is gone", () => it.journal.report?.halts.length === 0);
    await playUntil(it, "entries resume", () => entriesOf(it).length > before);
  });

  test("CancelOrders ends what is left of an entry, its position keeps its stop; Flatten closes it", async () => {
    const it = await start();
    it.exchange.control.changeSettings({
      fills: [{ reduceOnly: false, parts: 50, rest: "waits" }],
    });
    await untilTrading(it);
    const entry = () => entriesOf(it).at(-1);
    await playUntil(it, "an entry fills in parts", () => entry()?.status === "PartiallyFilled");
    await it.bot.configure({ ...it.config, halts: [halt("CancelOrders")] });
    await until("its rest is cancelled", () => entry()?.status === "Cancelled");
    await until(
      "the entry is known to be over",
      () => it.journal.report?.openEntries?.length === 0,
    );
    const [position] = accountOf(it).positions;
    expect(position).toMatchObject({ size: entry()?.filledQuantity });
    expect(position?.stopLoss).toMatch(/^\d/);
    expect(it.journal.report).toMatchObject({ flat: false, protected: true, state: "Running" });

    await it.bot.configure({ ...it.config, halts: [halt("Flatten")], generation: 2 });
    await until("the position is closed", () => {
      it.exchange.control.step(1);
      return it.journal.report?.flat === true;
    });
    expect(accountOf(it).positions.filter(({ size }) => size !== "0")).toEqual([]);
    expect(["stop", "target", "flatten"]).toContain(closedTrades(it).at(-1)?.reason);
    expect(it.bot.running).toBe(true);
  });

  test.each([
    ["Stopped", "stopped"],
    ["Retired", "retired"],
  ] as const)("%s closes the position and ends flat", async (state, reason) => {
    const it = await start();
    await untilTrading(it);
    await playUntil(it, "a position is open", () => openTrade(it) !== undefined);
    await changeState(it, state);
    await until("the bot has ended", () => {
      it.exchange.control.step(1);
      return !it.bot.running;
    });
    expect(await it.bot.exited()).toBe(0);
    expect(await it.bot.termination()).toEqual({ flat: true, epoch: 1, reason: state });
    expect(it.journal.report).toMatchObject({ flat: true, state, generation: 2 });
    expect(["stop", "target", reason]).toContain(closedTrades(it).at(-1)?.reason);
    expect(accountOf(it).positions.filter((position) => position.size !== "0")).toEqual([]);
  });

  test("Paused opens nothing, lets the position end by itself, and ends then", async () => {
    const it = await start();
    await untilTrading(it);
    await playUntil(it, "a position is open", () => openTrade(it) !== undefined);
    const entries = entriesOf(it).length;
    await changeState(it, "Paused");
    await playUntil(it, "the bot has ended", () => !it.bot.running);
    expect(entriesOf(it).length).toBe(entries);
    expect(await it.bot.termination()).toMatchObject({ flat: true, reason: "Paused" });
  });

  test("autoTrade off: signals are recorded and no order is sent", async () => {
    const it = await start({ config: { autoTrade: false } });
    await until("only AutoTradeOff and data block", () => it.journal.report !== undefined);
    await playUntil(it, "a signal is recorded", () =>
      it.journal.events.some((event) => event.startsWith("signal:")),
    );
    expect(accountOf(it).orders).toEqual([]);
    expect(it.journal.report?.trading).toBe(false);
  });
});

describe("without a journal", () => {
  test("nothing is opened, the position is protected and closed, and what was kept is delivered", async () => {
    const it = await start();
    await untilTrading(it);
    await playUntil(it, "a position is open", () => openTrade(it) !== undefined);
    const id = openTrade(it)?.id;
    const entries = entriesOf(it).length;
    it.journal.mode = "down";
    await playUntil(it, "the position has ended at the exchange", () =>
      accountOf(it).positions.every((position) => position.size === "0"),
    );
    for (let candle = 0; candle < 60; candle += 1) {
      it.exchange.control.step(1);
      await sleep(20);
    }
    expect(entriesOf(it).length).toBe(entries);
    it.journal.mode = "up";
    await until("the trade arrives", () => closedTrades(it).some((trade) => trade.id === id));
  });

  test("a pod that starts without it still finds its own position by the ids and closes it", async () => {
    const it = await start();
    await untilTrading(it);
    await playUntil(it, "a position is open", () => openTrade(it) !== undefined);
    await it.bot.end("SIGKILL");
    it.journal.mode = "down";
    await it.bot.configure({ ...it.config, generation: 2, state: "Stopped" });
    await it.bot.start("pod-2");
    await until("the position is closed", () => {
      it.exchange.control.step(1);
      return accountOf(it).positions.every((position) => position.size === "0");
    });
    const exits = accountOf(it).orders.filter(
      (order) => order.reduceOnly && order.orderLinkId !== "",
    );
    expect(exits.length).toBeLessThanOrEqual(1);
  });

  test("a journal that forgot its sessions is told the rest of the trade by the same process", async () => {
    const it = await start();
    await untilTrading(it);
    await playUntil(it, "a position is open", () => openTrade(it) !== undefined);
    const id = openTrade(it)?.id;
    it.journal.forgetSessions();
    await playUntil(it, "the trade has closed", () =>
      closedTrades(it).some((trade) => trade.id === id),
    );
    const closed = closedTrades(it).length;
    await playUntil(it, "another trade has closed", () => closedTrades(it).length > closed);
    expect(await it.bot.end("SIGTERM")).toBe(0);
    expect(await it.bot.termination()).toMatchObject({ epoch: 2 });
  });

  test("a pod whose epoch is stale never opens again and says so", async () => {
    const it = await start();
    await untilTrading(it);
    it.journal.takeOver();
    await playUntil(
      it,
      "the bot notices",
      () => it.journal.report?.blocked.some(({ reason }) => reason === "StaleEpoch") === true,
    );
    expect(entriesOf(it)).toEqual([]);
  });
});
