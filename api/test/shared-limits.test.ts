import { randomUUID } from "node:crypto";
import { createClient } from "@redis/client";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { type Redis, startRedis } from "../../hack/redis/redis.ts";
import { createRateLimiter } from "../src/rate-limit.ts";
import { createRedisCounter } from "../src/redis-counter.ts";
import { createSharedRateLimiter } from "../src/shared-rate-limit.ts";

// Two processes of the API, as far as limits go, over a real Redis.

let redis: Redis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

const replicas: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(replicas.splice(0).map((each) => each.close()));
});

function replica() {
  const failures: unknown[] = [];
  const counter = createRedisCounter({ url: redis.url, onError: () => {} });
  const limiter = createSharedRateLimiter({
    counter,
    own: createRateLimiter(Date.now),
    clock: () => performance.now(),
    onAway: (error) => void failures.push(error),
  });
  return {
    close: () => counter.close(),
    failures,
    take: (key: string) => limiter.take(key, 5),
    /** Waits until its connection stands. */
    connected: () => vi.waitUntil(() => isShared(counter)),
  };
}

async function isShared(counter: ReturnType<typeof createRedisCounter>): Promise<boolean> {
  return counter.count("probe").then(
    () => true,
    () => false,
  );
}

async function twoReplicas() {
  const [first, second] = [replica(), replica()] as const;
  replicas.push(first, second);
  await Promise.all([first.connected(), second.connected()]);
  return { first, second };
}

test("replicas count together, and a window ends with its minute", async () => {
  const { first, second } = await twoReplicas();
  const { states, many } = await withoutFailures([first, second], async (key) => {
    const inTurns = [];
    for (const { take } of [first, second, first, second, first, second]) {
      inTurns.push(await take(key));
    }
    const takes = Array.from({ length: 50 }, async () => first.take(`${key} at once`));
    return { states: inTurns, many: await Promise.all(takes) };
  });
  expect(states.map(({ allowed }) => allowed)).toEqual([true, true, true, true, true, false]);
  expect(states.map(({ remaining }) => remaining)).toEqual([4, 3, 2, 1, 0, 0]);
  expect(states[0]?.resetSeconds).toBe(60);
  expect(many.filter(({ allowed }) => allowed)).toHaveLength(5);
});

/** On a busy machine an answer may come later than a request waits for it: a replica then counts for itself for a second. */
async function withoutFailures<T>(
  both: readonly { readonly failures: unknown[] }[],
  act: (key: string) => Promise<T>,
): Promise<T> {
  const again = { timeout: 30_000, interval: 1_100 };
  return vi.waitFor(async () => {
    const answer = await act(randomUUID());
    expect(both.flatMap(({ failures }) => failures.splice(0))).toEqual([]);
    return answer;
  }, again);
}

test("a user whom the address names is let in by the password beside it", async () => {
  const password = "100% s3cret:@/?#";
  const rights = ["~tradingbots:*", "+@connection", "+eval", "+incr", "+pexpire", "+pttl"];
  const admin = await createClient({ url: redis.url }).connect();
  const setUser = (...user: readonly string[]) => admin.sendCommand(["ACL", "SETUSER", ...user]);
  await setUser("limits", "on", `>${password}`, ...rights);
  await setUser("default", "off"); // whoever names nobody stays outside
  const url = redis.url.replace("//", "//limits@");
  const counter = createRedisCounter({ url, password, onError: () => {} });
  replicas.push(counter);
  try {
    await expect.poll(() => isShared(counter)).toBe(true);
  } finally {
    await setUser("default", "on");
    admin.destroy();
  }
});

test("Redis gone: each counts for itself at once, and together again when it is back", async () => {
  const { first, second } = await twoReplicas();
  await redis.kill();
  const began = performance.now();
  const alone = [];
  for (let time = 0; time < 6; time++) alone.push(await first.take("gone"));
  expect(alone.map(({ allowed }) => allowed)).toEqual([true, true, true, true, true, false]);
  expect(await second.take("gone")).toMatchObject({ allowed: true, remaining: 4 });
  expect(performance.now() - began).toBeLessThan(1_000);
  expect(first.failures).not.toEqual([]);
  await redis.start();
  let number = 0;
  await vi.waitUntil(
    async () => {
      const key = `back ${number++}`;
      await first.take(key);
      return (await second.take(key)).remaining === 3;
    },
    { timeout: 10_000 },
  );
});

test("Redis frozen: a request waits a tenth of a second at most once a second", async () => {
  const { first, second } = await twoReplicas();
  redis.freeze();
  const began = performance.now();
  for (let time = 0; time < 100; time++) await first.take("frozen");
  expect(performance.now() - began).toBeLessThan(1_000);
  redis.thaw();
  let number = 0;
  await vi.waitUntil(
    async () => {
      const key = `thawed ${number++}`;
      await first.take(key);
      return (await second.take(key)).remaining === 3;
    },
    { timeout: 10_000 },
  );
});
