import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, test } from "vitest";
import { eventually } from "../platform/eventually.ts";
import type { Bot } from "../platform/rest-client.ts";
import {
  BUSY,
  conditionOf,
  HOLDING,
  kubectl,
  newTrader,
  openPosition,
  podsOf,
  positionsOf,
  runningBot,
  simulator,
  type Trader,
  untilGone,
  untilReady,
} from "./trader.ts";

const WITHIN_MS = 2_000;
const halts: string[] = [];

afterAll(async () => {
  for (const name of halts)
    await kubectl.run(["delete", "tradinghalt", name, "--ignore-not-found"]);
});

test("a change of limits over REST reaches the running bot within 2 s, without a restart", async () => {
  const trader = await newTrader("config");
  const bot = await runningBot(trader, HOLDING);
  await openPosition(trader);
  const [before] = await podsOf(trader, bot.id);

  const generation = appliedGeneration(await trader.client.bot(bot.id));
  await trader.client.patchBot(bot.id, { risk: { dailyLossPercent: 3 } });
  const changedAt = performance.now();
  const applied = await eventually({
    what: "the bot reports the new configuration",
    withinMs: WITHIN_MS * 5,
    probe: async () => {
      const current = appliedGeneration(await trader.client.bot(bot.id));
      return current > generation ? current : undefined;
    },
    otherwise: async () => JSON.stringify(await trader.client.bot(bot.id), undefined, 1),
  });
  expect(performance.now() - changedAt, `generation ${applied}`).toBeLessThan(WITHIN_MS);

  const after = await podsOf(trader, bot.id);
  expect(after.map((pod) => pod.metadata.uid)).toEqual([before?.metadata.uid]);
  expect(after[0]?.status.containerStatuses?.map((status) => status.restartCount)).toEqual([0]);
});

test("a TradingHalt stops new entries within 2 s, and lifting it resumes them", async () => {
  const trader = await newTrader("halt");
  const bot = await runningBot(trader, BUSY);
  await eventually({
    what: "the bot trades",
    withinMs: 60_000,
    probe: async () => (await entriesOf(trader)) >= 1 || undefined,
  });

  const name = await halt(bot, "BlockEntries");
  await sleep(WITHIN_MS);
  const whenHalted = await entriesOf(trader);
  await sleep(6_000);
  expect(await entriesOf(trader)).toBe(whenHalted);
  expect(conditionOf(await trader.client.bot(bot.id), "Halted")?.status).toBe("True");

  await lift(name);
  await eventually({
    what: "entries go on after the halt is lifted",
    withinMs: 30_000,
    probe: async () => (await entriesOf(trader)) > whenHalted || undefined,
    otherwise: async () => JSON.stringify(await trader.client.bot(bot.id), undefined, 1),
  });
  await trader.client.command(bot.id, "stop");
});

test("CancelOrders spares a position and its stop; Flatten closes it and leaves the bot Paused", async () => {
  const trader = await newTrader("flatten");
  const bot = await runningBot(trader, HOLDING);
  const opened = await openPosition(trader);

  // Entries are market orders: none rests at the exchange, so there is nothing to cancel and nothing else may go.
  const cancelling = await halt(bot, "CancelOrders");
  await untilExecuted(cancelling);
  const [held] = await positionsOf(trader);
  expect(held).toMatchObject({ symbol: opened.symbol, size: opened.size });
  expect(Number(held?.stopLoss)).toBeGreaterThan(0);
  expect(await columnsOf(trader, bot)).toEqual(["Running", "Halted"]);

  const flattening = await halt(bot, "Flatten");
  await untilExecuted(flattening);
  expect(await positionsOf(trader)).toEqual([]);
  const { orders } = await simulator.account(trader.apiKey);
  expect(orders.filter(({ status }) => OPEN.has(status))).toEqual([]);
  await eventually({
    what: "the bot is Paused and its pod gone",
    withinMs: 60_000,
    probe: async () => {
      const { state } = await trader.client.bot(bot.id);
      return (state === "Paused" && (await podsOf(trader, bot.id)).length === 0) || undefined;
    },
    otherwise: async () => JSON.stringify(await trader.client.bot(bot.id), undefined, 1),
  });
  expect(await columnsOf(trader, bot)).toEqual(["Paused", "Halted"]);
  const trades = await trader.client.trades(bot.id);
  expect(trades.at(-1)).toMatchObject({ reason: "flatten" });

  await lift(cancelling);
  await lift(flattening);
  await trader.client.command(bot.id, "start");
  await openPosition(trader);
  expect((await trader.client.bot(bot.id)).state).toBe("Running");
});

test("a paused and flat bot has no pod, and is started again", async ({ task }) => {
  const trader = await newTrader("hibernate");
  const bot = await runningBot(trader, { ...HOLDING, autoTrade: false });
  await trader.client.command(bot.id, "pause");
  await untilGone(trader, bot.id);
  const isReady = async () => (await trader.client.bot(bot.id)).status.ready;
  await expect.poll(isReady, { timeout: 10_000 }).toBe(false); // or the time would end before the start
  const startedAt = performance.now();
  await trader.client.command(bot.id, "start");
  await untilReady(trader, bot.id);
  const tookMs = Math.round(performance.now() - startedAt);
  task.meta.figure = `start_to_ready_ms ${tookMs}: from REST's start of a paused bot without a pod until REST says Ready, asked each 100 ms; aim 3000`;
  expect(await podsOf(trader, bot.id)).toHaveLength(1);
});

/** States in which an order of the simulator can still do something. */
const OPEN: ReadonlySet<string> = new Set(["New", "PartiallyFilled", "Untriggered"]);

/** Puts a halt on one bot and gives back its name. */
async function halt(bot: Bot, action: "BlockEntries" | "CancelOrders" | "Flatten") {
  const name = `e2e-${randomUUID().slice(0, 8)}`;
  halts.push(name);
  await kubectl.apply({
    apiVersion: "tradingbots.dev/v1alpha1",
    kind: "TradingHalt",
    metadata: { name },
    spec: { scope: { type: "bot", value: bot.id }, action, reason: "end to end" },
  });
  return name;
}

async function lift(name: string): Promise<void> {
  const patch = JSON.stringify({ spec: { lifted: true } });
  await kubectl.run(["patch", "tradinghalt", name, "--type=merge", "-p", patch]);
}

async function untilExecuted(name: string): Promise<void> {
  await kubectl.run(["wait", "--for=condition=Executed", `tradinghalt/${name}`, "--timeout=30s"]);
  const counts = ["matched", "acknowledged", "finished"].map((count) => `{.status.${count}}`);
  const said = await kubectl.run([
    "get",
    "tradinghalt",
    name,
    `--output=jsonpath=${counts.join(" ")}`,
  ]);
  expect(said).toBe("1 1 1");
}

/** STATE and REASON, as `kubectl get tb` prints them. */
async function columnsOf({ namespace }: Trader, bot: Bot): Promise<readonly string[]> {
  const table = await kubectl.run(["get", "tb", bot.id, "-n", namespace]);
  const [header = "", row = ""] = table.split("\n");
  return ["STATE", "REASON"].map((column) => {
    const at = header.indexOf(column);
    return row.slice(at).split(/\s/, 1)[0] ?? "";
  });
}

/** The generation of the configuration that the bot itself says is in force; 0 when it does not say so. */
function appliedGeneration(bot: Bot): number {
  const condition = conditionOf(bot, "ConfigApplied");
  return condition?.status === "True" ? (condition.observedGeneration ?? 0) : 0;
}

/** Opening fills seen by the exchange: the bot is long only, so every buy opens. */
async function entriesOf(trader: Trader): Promise<number> {
  const { executions } = await simulator.account(trader.apiKey);
  return executions.filter((execution) => execution.side === "Buy").length;
}
