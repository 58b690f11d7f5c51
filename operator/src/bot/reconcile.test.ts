import { KubernetesError } from "@tradingbots/kube";
import { expect, test } from "vitest";
import { conditionOf } from "../conditions.ts";
import { createStartLine } from "../start-line.ts";
import type { BotStatus, BotView } from "./bot-view.ts";
import { exampleAccount, exampleBot, exampleClass } from "./example-facts.ts";
import { type BotDeps, reconcileBot } from "./reconcile.ts";

const bot = exampleBot();
const { key } = bot;

/** A cluster that has all that the bot needs and refuses its pod, because others have used up the quota. */
function fullCluster(changes: Partial<BotDeps> = {}) {
  const state = {
    bot: bot as BotView | undefined,
    used: 100,
    statuses: new Array<BotStatus>(),
    /** So many statuses are still written, and those that follow are not. */
    writable: Infinity,
  };
  async function refuse(): Promise<never> {
    const message = `pods "bot-1" is forbidden: exceeded quota: pods, requested: pods=1, used: pods=${state.used}, limited: pods=100`;
    const answer = { reason: "Forbidden", message, retryAfterSeconds: undefined };
    throw new KubernetesError({ status: 403, ...answer }, "POST pods");
  }
  async function replaceStatus(target: BotView, status: BotStatus): Promise<void> {
    if (state.writable-- <= 0) throw new Error("no status is written now");
    state.statuses.push(status);
    state.bot = { ...target, status };
  }
  const deps = {
    cluster: {
      bots: { store: { get: () => state.bot, find: () => [] } },
      accounts: { store: { get: () => exampleAccount() } },
      classes: { store: { get: () => exampleClass } },
      halts: { store: { views: () => [] } },
      pods: { get: () => undefined },
      cordonedNodes: { store: { get: () => undefined } },
      serviceAccounts: { get: () => ({}) },
    },
    reports: { latest: () => undefined, isHeard: () => true },
    writes: { createPod: refuse, tryPod: refuse, bots: { replaceStatus } },
    events: { warn: () => {} },
    starts: { ask: () => ({ mayStart: true }), leave: () => {} },
    podSettings: {},
    restarts: new Map(),
    refusals: new Map(),
    now: () => new Date(),
    clock: () => 0,
    ...changes,
  };
  const pass = () => reconcileBot(key, deps as unknown as BotDeps); // oxlint-disable-line typescript/no-unsafe-type-assertion
  const ready = () => conditionOf(state.statuses.at(-1)?.conditions, "Ready");
  return { state, pass, ready };
}

test("a pod that is refused again and again is offered ever more seldom", async () => {
  const { pass } = fullCluster();
  for (const atMostMs of [30_000, 60_000, 120_000, 240_000, 300_000, 300_000]) {
    const { requeueAfterMs } = await pass();
    expect(requeueAfterMs).toBeGreaterThanOrEqual(atMostMs / 2);
    expect(requeueAfterMs).toBeLessThan(atMostMs);
  }
});

test("how much of a quota others use changes no status", async () => {
  const { state, pass, ready } = fullCluster();
  await pass();
  expect(ready()?.message).toBe(
    'The cluster refuses the pod: POST pods: pods "bot-1" is forbidden: exceeded quota: pods, requested: pods=1, limited: pods=100',
  );
  const written = state.statuses.length;
  state.used = 101;
  await pass();
  expect(state.statuses).toHaveLength(written);
});

test.each([
  { state: "Paused", reason: "Paused" },
  { state: "Stopped", reason: "Stopped" },
])(
  "a refusal is over for a bot that is $state, and a later start is offered at once",
  async (to) => {
    const { state, pass, ready } = fullCluster();
    for (let refused = 0; refused < 5; refused++) await pass();
    expect(ready()?.reason).toBe("PodRefused");
    const { status } = state.bot ?? bot;
    state.bot = exampleBot({ state: to.state }, { generation: 2 }, status);
    await pass();
    expect(ready()?.reason).toBe(to.reason);
    expect(conditionOf(state.statuses.at(-1)?.conditions, "Flat")?.reason).toBe("NeverStarted");
    state.bot = exampleBot({}, { generation: 3 }, state.bot.status);
    expect((await pass()).requeueAfterMs).toBeLessThan(30_000);
  },
);

test("a refused pod has changed nothing, also when the status says so only after the bot was stopped", async () => {
  const { state, pass } = fullCluster();
  state.writable = 1;
  await expect(pass()).rejects.toThrow("no status");
  const flat = () => conditionOf(state.bot?.status.conditions, "Flat")?.reason;
  expect(flat()).toBe("Starting");
  state.bot = exampleBot({ state: "Stopped" }, { generation: 2 }, state.bot?.status);
  await expect(pass()).rejects.toThrow("no status");
  state.writable = 1;
  await pass();
  expect(flat()).toBe("NeverStarted");
});

test("what keeps the bot from any pod is told, not what the cluster once said", async () => {
  const { state, pass, ready } = fullCluster();
  await pass();
  state.bot = exampleBot({ mode: "testnet" }, { generation: 2 }, state.bot?.status);
  await pass();
  expect(ready()?.reason).toBe("AccountMismatch");
});

test("a bot that is gone leaves the line of starts", async () => {
  const starts = createStartLine({ perSecond: 1, clock: () => 0 });
  starts.ask({ id: "another", rank: "user", wake: () => {} });
  const { state, pass } = fullCluster({ starts, wake: () => {} });
  await pass();
  expect(starts.size()).toBe(1);
  state.bot = undefined;
  await pass();
  expect(starts.size()).toBe(0);
  starts.stop();
});
