import { expect, test } from "vitest";
import { createServerClock } from "./bybit-clock.ts";

/** Two clients that count their loads, and a clock that is moved by hand. */
function twoClients() {
  const state = { nowMs: 0, fails: false };
  const loads = [0, 0];
  const clients = loads.map((_, index) => ({
    loadTimeDifference: async () => {
      loads[index] = (loads[index] ?? 0) + 1;
      if (state.fails) throw new Error("no answer");
    },
  }));
  return { state, loads, clock: createServerClock(clients, () => state.nowMs) };
}

test("the difference is loaded on every client at first, when doubted, and every ten minutes", async () => {
  const { state, loads, clock } = twoClients();
  await Promise.all([clock.keep(), clock.keep()]);
  expect(loads).toEqual([1, 1]);
  state.nowMs = 599_999;
  await clock.keep();
  expect(loads).toEqual([1, 1]);
  clock.doubt();
  await clock.keep();
  expect(loads).toEqual([2, 2]);
  state.nowMs += 600_000;
  await clock.keep();
  expect(loads).toEqual([3, 3]);
});

test("a difference that was never loaded is an error; one that cannot be loaded again serves on", async () => {
  const { state, loads, clock } = twoClients();
  state.fails = true;
  await expect(clock.keep()).rejects.toThrow("no answer");
  state.fails = false;
  await clock.keep();
  clock.doubt();
  state.fails = true;
  await clock.keep();
  await clock.keep();
  expect(loads).toEqual([3, 3]);
  state.nowMs += 5_000;
  await clock.keep();
  expect(loads).toEqual([4, 4]);
});
