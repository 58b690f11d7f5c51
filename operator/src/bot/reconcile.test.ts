import { KubernetesError } from "@tradingbots/kube";
import { expect, test } from "vitest";
import { exampleAccount, exampleBot, exampleClass } from "./example-facts.ts";
import { type BotDeps, reconcileBot } from "./reconcile.ts";

const bot = exampleBot();

async function refuse(): Promise<never> {
  const answer = { reason: "Forbidden", message: "exceeded quota", retryAfterSeconds: undefined };
  throw new KubernetesError({ status: 403, ...answer }, "creating the pod");
}

/** A cluster that has all that the bot needs and refuses its pod. */
function fullCluster(): BotDeps {
  const deps = {
    cluster: {
      bots: { store: { get: () => bot, find: () => [bot] } },
      accounts: { store: { get: () => exampleAccount() } },
      classes: { store: { get: () => exampleClass } },
      halts: { store: { views: () => [] } },
      pods: { get: () => undefined },
      cordonedNodes: { store: { get: () => undefined } },
      serviceAccounts: { get: () => ({}) },
    },
    reports: { latest: () => undefined, isHeard: () => true },
    writes: { createPod: refuse, tryPod: refuse, bots: { replaceStatus: async () => {} } },
    events: { warn: () => {} },
    starts: { ask: () => ({ mayStart: true }), leave: () => {} },
    podSettings: {},
    restarts: new Map(),
    refusals: new Map(),
    now: () => new Date(),
    clock: () => 0,
  };
  return deps as unknown as BotDeps; // oxlint-disable-line typescript/no-unsafe-type-assertion
}

test("a pod that is refused again and again is offered ever more seldom", async () => {
  const deps = fullCluster();
  for (const atMostMs of [30_000, 60_000, 120_000, 240_000, 300_000, 300_000]) {
    const { requeueAfterMs } = await reconcileBot(bot.key, deps);
    expect(requeueAfterMs).toBeGreaterThanOrEqual(atMostMs / 2);
    expect(requeueAfterMs).toBeLessThan(atMostMs);
  }
});
