import { expect, test } from "vitest";
import { createRateLimiter } from "./rate-limit.ts";
import { createSharedRateLimiter } from "./shared-rate-limit.ts";

type Store = "answers" | "fails" | "hangs";

function limiterOver(store: { is: Store }) {
  let now = 0;
  let count = 0;
  let asked = 0;
  const failures: unknown[] = [];
  const limiter = createSharedRateLimiter({
    counter: {
      count: async () => {
        asked++;
        if (store.is === "fails") throw new Error("gone");
        if (store.is === "hangs") await new Promise(() => {});
        return { count: ++count, resetMs: 30_000 };
      },
    },
    own: createRateLimiter(() => now),
    clock: () => now,
    onAway: (error) => void failures.push(error),
  });
  return {
    take: (limit = 2) => limiter.take("key", limit),
    pass: (ms: number) => void (now += ms),
    check: async () => limiter.check?.(),
    asked: () => asked,
    failures,
  };
}

test("the store's count decides", async () => {
  const { take } = limiterOver({ is: "answers" });
  const states = [await take(), await take(), await take()];
  expect(states.map(({ allowed, remaining }) => [allowed, remaining])).toEqual([
    [true, 1],
    [true, 0],
    [false, 0],
  ]);
  expect(states[0]).toMatchObject({ limit: 2, resetSeconds: 30 });
});

test.for<Store>(["fails", "hangs"])(
  "while the store %s the process counts for itself, asking once a second",
  async (is) => {
    const store = { is };
    const { take, pass, asked, failures } = limiterOver(store);
    const states = [await take(), await take(), await take()];
    expect(states.map(({ allowed }) => allowed)).toEqual([true, true, false]);
    expect(asked()).toBe(1);
    expect(failures).toHaveLength(1);
    pass(999);
    await take();
    expect(asked()).toBe(1);
    pass(1);
    store.is = "answers";
    expect(await take()).toMatchObject({ allowed: true, remaining: 1 });
    expect(asked()).toBe(2);
  },
);

test("readiness tells whether the store answers", async () => {
  const store: { is: Store } = { is: "answers" };
  const { check } = limiterOver(store);
  await check();
  store.is = "hangs";
  await expect(check()).rejects.toThrow("no answer in time");
});

test("who has no limit asks nobody", async () => {
  const { take, asked } = limiterOver({ is: "answers" });
  expect(await take(0)).toMatchObject({ allowed: true });
  expect(asked()).toBe(0);
});
