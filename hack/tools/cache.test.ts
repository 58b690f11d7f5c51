import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { contentHash, withLock } from "./cache.ts";

test("content hashes tell parts apart, not only their concatenation", () => {
  expect(contentHash("ab", "c")).not.toBe(contentHash("a", "bc"));
  expect(contentHash("ab", "c")).toBe(contentHash("ab", "c"));
});

test("a lock admits one at a time and is taken over from the dead", async () => {
  const directory = await mkdtemp(join(tmpdir(), "lock-"));
  const lock = join(directory, "nested", "lock");
  let inside = 0;
  let peak = 0;
  const work = async () => {
    peak = Math.max(peak, ++inside);
    await new Promise((resolve) => setTimeout(resolve, 20));
    inside--;
  };
  await Promise.all([withLock(lock, work), withLock(lock, work)]);
  await writeFile(lock, `${process.pid} 1`); // our id, but another life
  await withLock(lock, work);
  expect(peak).toBe(1);
  await rm(directory, { recursive: true });
});
