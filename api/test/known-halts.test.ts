import type { Pool } from "pg";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createPool } from "../src/database.ts";
import { type Halt, sharedAsOf, shareHalts } from "../src/journal/known-halts.ts";
import { startDatabase, type TestDatabase } from "./database.ts";

let database: TestDatabase;
let journal: Pool;
beforeAll(async () => {
  database = await startDatabase();
  journal = createPool({ url: database.journalUrl, connectionsMax: 1 });
});
afterAll(async () => {
  await journal.end();
  await database.stop();
});
beforeEach(() => database.superuser.query("delete from known_halts"));

const halt = (name: string): Halt => ({
  name,
  spec: { scope: { type: "all" }, action: "BlockEntries", reason: "why", lifted: false },
});

interface Word {
  readonly asOf: number;
  readonly names: readonly string[];
  /** What Postgres had when the replica began to read; of before its first word when absent. */
  readonly found?: string;
}

test.each<readonly [name: string, words: readonly Word[], known: readonly string[]]>([
  ["a first word", [{ asOf: 10, names: ["a"] }], ["a"]],
  [
    "a halt that a stale replica has not heard of",
    [
      { asOf: 20, names: ["a", "b"] },
      { asOf: 10, names: ["a"] },
    ],
    ["a", "b"],
  ],
  [
    "a halt of which only a stale replica has not heard that it is over",
    [
      { asOf: 10, names: ["a"] },
      { asOf: 20, names: [] },
      { asOf: 10, names: ["a"] },
    ],
    [],
  ],
  [
    "a halt that a stale replica hears of first while it reads all anew",
    [
      { asOf: 10, names: [] },
      { asOf: 10, names: ["a"] },
    ],
    ["a"],
  ],
  [
    "another cluster, or the same from a backup, whose versions are lower",
    [
      { asOf: 500, names: ["a"] },
      { asOf: 7, names: ["b"], found: "500" },
    ],
    ["b"],
  ],
  [
    "a process that was frozen after it had read all, while others went on",
    [
      { asOf: 10, names: ["a"] },
      { asOf: 40, names: ["b"] },
      { asOf: 30, names: ["a"], found: "10" },
    ],
    ["b"],
  ],
])("%s", async (_, words, known) => {
  for (const { asOf, names, found = "-1" } of words) {
    await shareHalts(journal, { asOf, halts: names.map(halt) }, found);
  }
  const { rows } = await journal.query<{ halts: readonly Halt[] }>("select halts from known_halts");
  expect(rows).toEqual([{ halts: known.map(halt) }]);
});

test("a replica finds as of when Postgres has the halts, or that it never had any", async () => {
  expect(await sharedAsOf(journal)).toBe("-1");
  await shareHalts(journal, { asOf: 2 ** 53 - 1, halts: [] }, "-1");
  expect(await sharedAsOf(journal)).toBe("9007199254740991");
});
