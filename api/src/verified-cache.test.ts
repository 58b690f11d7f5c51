import { expect, test } from "vitest";
import { createVerifiedCache } from "./verified-cache.ts";

test("who is shown again stays, who is not goes, and nothing outlives its expiry", () => {
  let now = 0;
  const cache = createVerifiedCache<number>(4, () => now);
  cache.set("shown", 1, 100);
  for (let other = 0; other < 100; other++) {
    expect(cache.get("shown")).toBe(1);
    cache.set(`other ${other}`, other, 200);
    expect(cache.size()).toBeLessThanOrEqual(4);
  }
  expect([cache.get("other 0"), cache.get("other 99")]).toEqual([undefined, 99]);
  now = 100;
  expect([cache.get("shown"), cache.get("other 99")]).toEqual([undefined, 99]);
});

test("a token that ends like a known one is not known", () => {
  const end = "the-same-end-of-a-signature";
  const cache = createVerifiedCache<string>(2, () => 0);
  cache.set(`alice.${end}`, "alice", 100);
  expect(cache.get(`mallory.${end}`)).toBeUndefined();
  expect(cache.get(`alice.${end}`)).toBe("alice");
});
