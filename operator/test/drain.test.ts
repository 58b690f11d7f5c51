import { KubernetesError, NODES, PODS, type Resource } from "@tradingbots/kube";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { startControllers } from "../../hack/control-plane/controllers.ts";
import { TRADING_BOTS } from "../src/resources.ts";
import {
  NAMESPACE,
  type OperatorUnderTest,
  type Platform,
  startOperator,
  startPlatform,
} from "./platform.ts";
import { becomeReady, eventually, HOLDING, runningBot } from "./scenes.ts";

/** Machines that are emptied: the real Eviction API, and the real controller that counts for the PodDisruptionBudget. */

let platform: Platform;
let under: OperatorUnderTest;
let controllers: { stop(): Promise<void> };

beforeAll(async () => {
  platform = await startPlatform();
  controllers = await startControllers(platform, ["disruption-controller"]);
  await platform.client.create(BUDGETS, BUDGET);
  await platform.client.create(NODES, {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: "node-1" },
  });
});
afterAll(async () => {
  await controllers?.stop();
  await platform?.stop();
});
beforeEach(async () => {
  under = await startOperator(platform);
});
afterEach(async () => {
  await under.stop();
  await cordon(false);
  for (const { metadata } of await platform.client.list(PODS, { namespace: NAMESPACE })) {
    await platform.kill(metadata?.name ?? "");
  }
  for (const { metadata } of await platform.client.list(TRADING_BOTS)) {
    const body = { metadata: { finalizers: null } };
    await platform.client.patch(TRADING_BOTS, metadata, { type: "merge", body });
    await platform.client.remove(TRADING_BOTS, metadata);
  }
});

const WithStatus = z.object({ status: z.looseObject({}).optional() });
const BUDGETS: Resource<z.infer<typeof WithStatus>> = {
  apiVersion: "policy/v1",
  kind: "PodDisruptionBudget",
  plural: "poddisruptionbudgets",
  scope: "Namespaced",
  read: (value) => WithStatus.parse(value),
};
/** As the chart has it. */
const BUDGET = {
  apiVersion: "policy/v1",
  kind: "PodDisruptionBudget",
  metadata: { namespace: NAMESPACE, name: "tradingbots-positions" },
  spec: {
    maxUnavailable: 0,
    unhealthyPodEvictionPolicy: "AlwaysAllow",
    selector: { matchLabels: { "tradingbots.dev/position": "open" } },
  },
};

/** What the controller has counted. */
async function budget() {
  return (await platform.client.get(BUDGETS, BUDGET.metadata))?.status;
}

const EVICTIONS = (pod: string): Resource<unknown> => ({
  apiVersion: "v1",
  kind: "Eviction",
  plural: `pods/${pod}/eviction`,
  scope: "Namespaced",
  read: (value) => value,
});

/** The API server's answer to `kubectl drain`. */
async function evict(name: string): Promise<"evicted" | "refused"> {
  try {
    await platform.client.create(EVICTIONS(name), {
      apiVersion: "policy/v1",
      kind: "Eviction",
      metadata: { namespace: NAMESPACE, name },
    });
    return "evicted";
  } catch (error) {
    if (error instanceof KubernetesError && error.status === 429) return "refused";
    throw error;
  }
}

async function cordon(unschedulable: boolean): Promise<void> {
  const body = { spec: { unschedulable } };
  await platform.client.patch(NODES, { name: "node-1" }, { type: "merge", body });
}

const labelOf = async (name: string) =>
  (await platform.pod(name))?.metadata?.labels?.["tradingbots.dev/position"];
const drainingOf = async (name: string) => (await platform.conditionsOf(name))["Draining"];

async function drainingSince(name: string): Promise<number> {
  const { conditions = [] } = (await platform.bot(name))?.status ?? {};
  return Date.parse(conditions.find(({ type }) => type === "Draining")?.lastTransitionTime ?? "");
}

/** A bot on a machine, with a position that the budget counts. */
async function holdingBot() {
  const bot = await runningBot({ platform, under });
  await platform.bind(bot.name);
  under.report(bot.name, bot.uid, HOLDING);
  await eventually(() => labelOf(bot.name)).toBe("open");
  await eventually(budget).toMatchObject({ expectedPods: 1, currentHealthy: 1 });
  return bot;
}

test("a bot that holds nothing is evicted at once, costs no label, and starts elsewhere", async () => {
  const { name, uid } = await runningBot({ platform, under });
  await platform.bind(name);
  expect(await labelOf(name)).toBeUndefined();
  expect(under.writes.filter((write) => write.startsWith("PATCH pods"))).toEqual([]);
  await eventually(() => evict(name)).toBe("evicted");
  await eventually(() => platform.ready(name)).toBe("False Evicted");
  await platform.kill(name);
  await eventually(async () => (await platform.pod(name))?.metadata?.uid ?? uid).not.toBe(uid);
  await becomeReady({ platform, under }, name);
});

test("one budget counts the pods of bots by their scale, and keeps those that hold a position", async () => {
  const first = await holdingBot();
  const second = await runningBot({ platform, under }, { symbols: ["ETH/USDT:USDT"] });
  under.report(second.name, second.uid, HOLDING);
  await eventually(budget).toMatchObject({
    expectedPods: 2,
    desiredHealthy: 2,
    currentHealthy: 2,
    disruptionsAllowed: 0,
    conditions: [{ type: "DisruptionAllowed", status: "False", reason: "InsufficientPods" }],
  });
  expect(await evict(first.name)).toBe("refused");
  expect(await drainingOf(first.name)).toBeUndefined();

  under.report(first.name, first.uid, {});
  await eventually(() => labelOf(first.name)).toBeUndefined();
  await eventually(() => evict(first.name)).toBe("evicted");
  expect(await evict(second.name)).toBe("refused");
});

test("a position keeps its pod on a machine that is being emptied for ten minutes, and then moves with it", async () => {
  const { name, uid } = await holdingBot();
  await cordon(true);
  await eventually(() => drainingOf(name)).toBe("True PositionOpen");
  expect(await platform.ready(name)).toBe("True Running");
  expect(await evict(name)).toBe("refused");

  // Another operator knows from the status how long it has waited, and wakes by itself when that is over.
  await under.stop();
  const endsAt = (await drainingSince(name)) + 10 * 60_000;
  const aheadMs = endsAt - Date.now() - 4_000;
  under = await startOperator(platform, { aheadMs });
  under.report(name, uid, HOLDING);
  await eventually(() => labelOf(name)).toBeUndefined();
  expect(Date.now() + aheadMs).toBeGreaterThanOrEqual(endsAt);
  under.skip(-aheadMs); // or the machine would seem to have been silent for that long
  await eventually(() => evict(name)).toBe("evicted");
  await eventually(() => platform.ready(name)).toBe("False Evicted");
  await platform.kill(name);
  await eventually(async () => (await platform.pod(name))?.metadata?.uid ?? uid).not.toBe(uid);
  // What it held it holds still: nobody has closed anything, and the next pod is kept from the start.
  expect(await labelOf(name)).toBe("open");
  expect(await platform.config(name)).toMatchObject({ state: "Running" });
  await eventually(() => drainingOf(name)).toBeUndefined();
});

test("once its position is closed on such a machine another one does not keep the bot there", async () => {
  const { name, uid } = await holdingBot();
  await cordon(true);
  await eventually(() => drainingOf(name)).toBe("True PositionOpen");
  under.report(name, uid, {});
  await eventually(() => labelOf(name)).toBeUndefined();
  under.report(name, uid, HOLDING);
  await eventually(async () => (await platform.conditionsOf(name))["Flat"]).toBe(
    "False PositionOpen",
  );
  await under.settle();
  expect(await labelOf(name)).toBeUndefined();
  await cordon(false);
  await eventually(() => labelOf(name)).toBe("open");
});
