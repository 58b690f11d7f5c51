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
  runningBot,
  simulator,
  type Trader,
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

  const name = `e2e-${randomUUID().slice(0, 8)}`;
  halts.push(name);
  await kubectl.apply({
    apiVersion: "tradingbots.dev/v1alpha1",
    kind: "TradingHalt",
    metadata: { name },
    spec: { scope: { type: "bot", value: bot.id }, action: "BlockEntries", reason: "end to end" },
  });
  await sleep(WITHIN_MS);
  const whenHalted = await entriesOf(trader);
  await sleep(6_000);
  expect(await entriesOf(trader)).toBe(whenHalted);
  expect(conditionOf(await trader.client.bot(bot.id), "Halted")?.status).toBe("True");

  await kubectl.run([
    "patch",
    "tradinghalt",
    name,
    "--type=merge",
    "-p",
    '{"spec":{"lifted":true}}',
  ]);
  await eventually({
    what: "entries go on after the halt is lifted",
    withinMs: 30_000,
    probe: async () => (await entriesOf(trader)) > whenHalted || undefined,
    otherwise: async () => JSON.stringify(await trader.client.bot(bot.id), undefined, 1),
  });
  await trader.client.command(bot.id, "stop");
});

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
