import { afterAll, beforeAll, expect, test } from "vitest";
import { startDatabase, type TestDatabase } from "./database.ts";
import { interleave } from "./interleaving/interleave.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await startDatabase();
});
afterAll(() => database.stop());

test("10,000 transactions of 50 users on two connections, with errors between them, see no other's row", async () => {
  const { transactions, rowsSeen, failed, leaks } = await interleave(database, 10_000);
  expect(leaks).toEqual([]);
  expect(transactions).toBeGreaterThanOrEqual(10_000);
  expect(rowsSeen).toBeGreaterThan(20_000);
  expect(failed).toBeGreaterThan(2_000);
});
