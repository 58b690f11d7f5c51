import { afterAll, beforeAll, expect, test } from "vitest";
import { startApi, type TestApi } from "./api.ts";
import { freezePostgres } from "./frozen/freeze-postgres.ts";
import { type JournalApp, startJournalApp } from "./journal-app.ts";

/** Short, so that a short freeze outlasts it: what is given up under way is part of what is told. */
const STATEMENT_LIMIT_MS = 1_000;

let api: TestApi;
let journal: JournalApp;
beforeAll(async () => {
  api = await startApi({ statementLimitMs: STATEMENT_LIMIT_MS });
  journal = await startJournalApp(api.database, { statementLimitMs: STATEMENT_LIMIT_MS });
});
afterAll(async () => {
  await journal.close();
  await api.stop();
});

test("while Postgres stands still everybody is told so soon, and afterwards nothing is missing or doubled", async () => {
  const found = await freezePostgres({ api, journal, seconds: 5 });
  expect(found.strange).toEqual([]);
  expect(found.refused).toBeGreaterThan(20);
  expect(found.toldAfterMs.api).toBeLessThan(4_000);
  expect(found.toldAfterMs.journal).toBeLessThan(4_000);
  // What was under way ends with its statement, what waits for a connection after 5 s; nothing waits for both.
  expect(found.longestMs).toBeLessThan(7_500);
  expect(found.refusedAfterMs).toBeLessThan(1_000);
  expect(Math.max(...Object.values(found.recoveredAfterMs))).toBeLessThan(10_000);
  expect(found.stored).toEqual([found.acknowledged, found.acknowledged, found.acknowledged]);
  expect(found.intents).toEqual([503, 200, 200]);
  expect(found.intentsStored).toBe(1);
});
