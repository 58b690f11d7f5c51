import { expect, test } from "vitest";
import { exampleBot, exampleHalt, NOW } from "../bot/example-facts.ts";
import { type HaltDeps, reconcileHalt } from "./reconcile.ts";

const BOTS = 40_000;

test("counting who obeys a halt leaves others their turns", async () => {
  const halt = exampleHalt("h");
  const bot = exampleBot();
  let counted = 0;
  function* views() {
    for (; counted < BOTS; counted++) yield bot;
  }
  const none = { get: () => undefined };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const deps = {
    cluster: { halts: { store: { get: () => halt } }, bots: { store: { views } }, pods: none },
    reports: { isHeard: () => true, latest: () => undefined },
    refusals: new Map(),
    now: () => NOW,
    clock: () => 0,
    writes: { halts: { replaceStatus: async () => {} } },
  } as unknown as HaltDeps;
  // Processor time of this thread, not the clock's: on a busy machine the others' work counts there.
  let longestMs = 0;
  let since = process.threadCpuUsage();
  const turns = setInterval(() => {
    const { user, system } = process.threadCpuUsage(since);
    longestMs = Math.max(longestMs, (user + system) / 1_000);
    since = process.threadCpuUsage();
  }, 0);
  await reconcileHalt("h", deps);
  clearInterval(turns);
  expect(counted).toBe(BOTS);
  expect(longestMs).toBeGreaterThan(0);
  expect(longestMs).toBeLessThan(25);
});
