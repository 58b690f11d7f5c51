import { expect, test } from "vitest";
import { createVerifiedCache } from "./verified-cache.ts";

test("the least recently used goes first, and nothing outlives its expiry", () => {
  let now = 0;
  const cache = createVerifiedCache<number>(2, () => now);
  cache.set("a", 1, 100);
  cache.set("b", 2, 100);
  expect(cache.get("a")).toBe(1);
  cache.set("c", 3, 200);
  expect([cache.get("a"), cache.get("b"), cache.get("c")]).toEqual([1, undefined, 3]);
  now = 100;
  expect([cache.get("a"), cache.get("c")]).toEqual([undefined, 3]);
  expect(cache.size()).toBe(1);
});

test("a token that ends like a known one is not known", () => {
  const end = "the-same-end-of-a-signature";
  const cache = createVerifiedCache<string>(2, () => 0);
  cache.set(`alice.${end}`, "alice", 100);
  expect(cache.get(`mallory.${end}`)).toBeUndefined();
  expect(cache.get(`alice.${end}`)).toBe("alice");
});
