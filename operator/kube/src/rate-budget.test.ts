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
