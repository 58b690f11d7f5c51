import { expect, test } from "vitest";
import { createRateLimiter, rateLimitFields } from "./rate-limit.ts";

test("each key has its minute, and 0 is no limit", () => {
  let now = 0;
  const limiter = createRateLimiter(() => now);
  const take = (key: string, limit = 2) => limiter.take(key, limit);
  expect([take("a"), take("a"), take("a")].map(({ allowed }) => allowed)).toEqual([
    true,
    true,
    false,
  ]);
  expect(take("b").allowed).toBe(true);
  now = 59_000;
  expect(take("a")).toEqual({ allowed: false, limit: 2, remaining: 0, resetSeconds: 1 });
  now = 60_000;
  expect(take("a")).toEqual({ allowed: true, limit: 2, remaining: 1, resetSeconds: 60 });
  expect(Array.from({ length: 100 }, () => take("c", 0)).every(({ allowed }) => allowed)).toBe(
    true,
  );
});

test("the headers are those of the draft", () => {
  const headers: Record<string, unknown> = {};
  const header = (name: string, value: unknown) => void (headers[name] = value);
  const tell = rateLimitFields("free", 60);
  for (const remaining of [59, 58]) {
    tell({ header }, { allowed: true, limit: 60, remaining, resetSeconds: 30 });
    expect(headers).toEqual({
      "ratelimit-policy": '"free";q=60;w=60',
      ratelimit: `"free";r=${remaining};t=30`,
    });
  }
});
