import { expect, test } from "vitest";
import { createServerClock } from "./bybit-clock.ts";

/** An exchange whose answers take as long as a test says, and a machine whose clocks are moved by hand. */
function machine(skewMs = 0) {
  const state = { monotonicMs: 1_000, steppedMs: 0, tripMs: 40, fails: false, asked: 0, used: NaN };
  const exchangeMs = () => 1_700_000_000_000 + state.monotonicMs;
  const pass = (ms: number) => (state.monotonicMs += ms);
  const clock = createServerClock({
    ask: async () => {
      state.asked += 1;
      pass(state.tripMs / 2);
      if (state.fails) throw new Error("no answer");
      const answer = exchangeMs();
      pass(state.tripMs / 2);
      return answer;
    },
    use: (differenceMs) => (state.used = differenceMs),
    clock: {
      nowMs: () => exchangeMs() + skewMs + state.steppedMs,
      monotonicMs: () => state.monotonicMs,
    },
  });
  return { state, pass, clock };
}

/** Lets what `keep` began in the background end. */
async function keep(clock: { readonly keep: () => Promise<void> }): Promise<void> {
  await clock.keep();
  for (let turns = 0; turns < 5; turns += 1) await Promise.resolve();
}

test("is measured at first, when doubted, and every ten minutes; two at once ask once", async () => {
  const { state, pass, clock } = machine();
  expect(clock.reading()).toBeUndefined();
  await Promise.all([clock.keep(), clock.keep()]);
  expect(state.asked).toBe(1);
  pass(599_999);
  await keep(clock);
  expect(state.asked).toBe(1);
  clock.doubt();
  expect(clock.reading()).toBeUndefined();
  await keep(clock);
  expect(state.asked).toBe(2);
  expect(clock.reading()).toBeDefined();
  pass(600_000);
  await keep(clock);
  expect(state.asked).toBe(3);
});

test.each([0, 90_000, -90_000])(
  "a difference of %i ms is found in the middle of the way, and signatures are never ahead",
  async (skewMs) => {
    const { state, clock } = machine(skewMs);
    await clock.keep();
    expect(clock.reading()).toEqual({ skewMs, uncertaintyMs: 20 });
    expect(state.used).toBe(skewMs + 20);
  },
);

test("only the first measurement is waited for, and only its failure is one", async () => {
  const { state, pass, clock } = machine();
  state.fails = true;
  await expect(clock.keep()).rejects.toThrow("no answer");
  state.fails = false;
  await clock.keep();
  pass(600_000);
  state.fails = true;
  await keep(clock);
  await keep(clock);
  expect(state.asked).toBe(3);
  expect(clock.reading()?.uncertaintyMs).toBe(20);
});

test("without an answer it is asked again after five seconds", async () => {
  const { state, pass, clock } = machine();
  await clock.keep();
  clock.doubt();
  state.fails = true;
  await keep(clock);
  pass(4_900);
  await keep(clock);
  expect(state.asked).toBe(2);
  pass(100);
  await keep(clock);
  expect(state.asked).toBe(3);
});

test.each([
  [1_000, 2],
  [1_002, 3],
])("an answer after %i ms leads to %i questions", async (tripMs, asked) => {
  const { state, pass, clock } = machine();
  await clock.keep();
  state.tripMs = tripMs;
  clock.doubt();
  await keep(clock);
  pass(5_000);
  await keep(clock);
  expect(state.asked).toBe(asked);
});

test("a step of this machine's clock is uncertain at once, and measured again", async () => {
  const { state, pass, clock } = machine();
  await clock.keep();
  pass(5_000);
  state.steppedMs = 249;
  await keep(clock);
  expect(state.asked).toBe(1);
  state.steppedMs = -2_000;
  expect(clock.reading()).toEqual({ skewMs: -2_000, uncertaintyMs: 2_020 });
  await keep(clock);
  expect(state.asked).toBe(2);
  expect(clock.reading()).toEqual({ skewMs: -2_000, uncertaintyMs: 20 });
  expect(state.used).toBe(-1_980);
});
