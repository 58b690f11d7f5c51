import { expect, test } from "vitest";
import { EventLoopWatch } from "./event-loop-watch.ts";

/** A watch that has ticked once, and the clock that it reads. */
function watch() {
  let nowMs = 50_000;
  const loop = new EventLoopWatch({ monotonicMs: () => nowMs });
  loop.tick();
  return { loop, pass: (ms: number) => (nowMs += ms) };
}

test.each([
  [1_999, undefined],
  [2_000, 2_000],
])("a gap of %i ms is a stall: %s", (gapMs, stalledMs) => {
  const { loop, pass } = watch();
  pass(gapMs);
  expect(loop.stalledMs).toBe(stalledMs);
  expect(loop.tick()).toBe(stalledMs);
  expect(loop.stalledMs).toBe(stalledMs);
  expect(loop.longestMs).toBe(gapMs);
});

test("is over after five seconds in which the process ran", () => {
  const { loop, pass } = watch();
  pass(60_000);
  loop.tick();
  for (let ticks = 0; ticks < 49; ticks += 1) {
    pass(100);
    loop.tick();
  }
  expect(loop.stalledMs).toBe(60_000);
  pass(100);
  loop.tick();
  expect(loop.stalledMs).toBeUndefined();
});
