import { afterAll, beforeAll, expect, test } from "vitest";
import { startDatabase, type TestDatabase } from "./database.ts";
import { fuzz } from "./fuzz/fuzz.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await startDatabase();
});
afterAll(() => database.stop());

test("bad inputs by the thousand: no answer of 5xx, none off the description, flat memory", async () => {
  const { good, bad, heapGrowthBytes } = await fuzz(database, 600);
  expect(good + bad).toBe(6_600);
  expect(bad).toBeGreaterThan(1_500);
  expect(good).toBeGreaterThan(500);
  expect(heapGrowthBytes).toBeLessThan(32 * 1024 * 1024);
});
