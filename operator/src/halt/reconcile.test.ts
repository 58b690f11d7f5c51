import { setImmediate } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { exampleBot, exampleHalt, NOW } from "../bot/example-facts.ts";
import { type HaltDeps, reconcileHalt } from "./reconcile.ts";

const BOTS = 40_000;
/** A slice is 4 ms; a bot takes this long on the test's clock. */
const BOT_MS = 0.1;

test("counting who obeys a halt leaves others their turns", async () => {
  const halt = exampleHalt("h");
  const bot = exampleBot();
  const counted: (typeof bot)[] = [];
  const clock = vi.spyOn(performance, "now").mockImplementation(() => counted.length * BOT_MS);
  function* views() {
    while (counted.length < BOTS) {
      counted.push(bot);
      yield bot;
    }
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
  const done = reconcileHalt("h", deps);
  const perTurn: number[] = [];
  while (counted.length < BOTS) {
    const before = counted.length;
    await setImmediate();
    perTurn.push(counted.length - before);
  }
  await done;
  clock.mockRestore();
  expect(Math.max(...perTurn)).toBeLessThanOrEqual(4 / BOT_MS + 1);
});
