import { expect, test } from "vitest";
import { createRateLimit } from "./rate-budget.ts";

/** When each of so many requests that come at once, at `now`, may go; in milliseconds. */
async function passedAt(take: ReturnType<typeof createRateLimit>, count: number) {
  const startedAt = performance.now();
  return Promise.all(
    Array.from({ length: count }, async () => {
      await take();
      return performance.now() - startedAt;
    }),
  );
}

test("a burst goes at once, what follows no earlier than its place in line", async () => {
  const times = await passedAt(createRateLimit({ perSecond: 100, burst: 5 }), 15);
  for (const [index, time] of times.entries()) {
    expect(time).toBeGreaterThanOrEqual(Math.max(0, (index - 4) * 10));
  }
});

test("a rest fills the burst again, and no more than that", async () => {
  let now = 0;
  const take = createRateLimit({ perSecond: 10, burst: 2 }, { clock: () => now });
  await take();
  await take();
  now = 60_000;
  await take();
  await take();
  const third = take(AbortSignal.timeout(20));
  await expect(third).rejects.toThrow("aborted");
});

test("each request that waited is told of, and none that went at once or was given up", async () => {
  let now = 0;
  const waits: number[] = [];
  const take = createRateLimit(
    { perSecond: 100, burst: 2 },
    { onWait: (waitedMs) => void waits.push(waitedMs), clock: () => now },
  );
  const passing = [take(), take(), take(), take()];
  await expect(take(AbortSignal.abort())).rejects.toThrow("aborted");
  now = 1_000;
  await Promise.all(passing);
  expect(waits).toEqual([1_000, 1_000]);
});

test("who is given up gives its place back, and who comes given up takes none", async () => {
  let now = 0;
  const waits: number[] = [];
  const take = createRateLimit(
    { perSecond: 10, burst: 1 },
    { onWait: (waitedMs) => void waits.push(waitedMs), clock: () => now },
  );
  await expect(take(AbortSignal.abort())).rejects.toThrow("aborted");
  await take(); // at once
  const givenUp = new AbortController();
  const many = Array.from({ length: 1_000 }, () => take(givenUp.signal));
  givenUp.abort();
  const ends = await Promise.allSettled(many);
  expect(ends.filter(({ status }) => status === "fulfilled")).toEqual([]);
  const next = take();
  now = 100;
  await next;
  expect(waits).toEqual([100]);
});

test("however many are given up, no more go than the budget allows", async () => {
  const take = createRateLimit({ perSecond: 100, burst: 5 });
  const startedAt = performance.now();
  const times: number[] = [];
  const many: Promise<void>[] = [];
  for (let index = 0; index < 30; index++) {
    const signal = index % 3 === 0 ? AbortSignal.timeout(index) : undefined;
    const passed = () => void times.push(performance.now() - startedAt);
    many.push(take(signal).then(passed, () => {}));
  }
  await Promise.all(many);
  for (const [index, time] of times.toSorted((a, b) => a - b).entries()) {
    expect(time).toBeGreaterThanOrEqual(Math.max(0, (index - 4) * 10));
  }
});
