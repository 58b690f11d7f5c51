import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { createTimeSlices } from "./time-slices.ts";

const SLICE_MS = 10;

function busy(durationMs: number): void {
  const until = performance.now() + durationMs;
  while (performance.now() < until);
}

async function work(slices: ReturnType<typeof createTimeSlices>, durationMs: number) {
  for (let done = 0; done < durationMs; done++) {
    if (slices.isOver()) await slices.next();
    busy(1);
  }
}

test("many workers together do not work longer without a break than one", async () => {
  const slices = createTimeSlices(SLICE_MS);
  let turnsOfOthers = 0;
  const other = setInterval(() => turnsOfOthers++, 0);
  await Promise.all(Array.from({ length: 12 }, () => work(slices, 15)));
  clearInterval(other);
  // 180 ms of work in slices of 10: somebody else had a turn in between, whatever the machine does besides.
  expect(turnsOfOthers).toBeGreaterThanOrEqual(9);
});

test("who waits is served in order, one a turn", async () => {
  const slices = createTimeSlices(SLICE_MS);
  const served: string[] = [];
  const turns: number[] = [];
  let turn = 0;
  const waiters = ["a", "b", "c"].map(async (name) => {
    await slices.next();
    served.push(name);
    turns.push(turn);
  });
  for (; served.length < 3; turn++) await setImmediate();
  await Promise.all(waiters);
  expect(served).toEqual(["a", "b", "c"]);
  expect(new Set(turns).size).toBe(3);
});

test("after idle time a slice is whole again", async () => {
  const slices = createTimeSlices(SLICE_MS);
  await work(slices, 12);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(slices.isOver()).toBe(false);
});
