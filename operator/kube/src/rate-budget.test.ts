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
  const take = createRateLimit({ perSecond: 10, burst: 2 }, () => now);
  await take();
  await take();
  now = 60_000;
  await take();
  await take();
  const third = take(AbortSignal.timeout(20));
  await expect(third).rejects.toThrow("aborted");
});
