import { setTimeout as sleep } from "node:timers/promises";
import type { Pool } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { createPool } from "../src/database.ts";
import { startDatabase, type TestDatabase } from "./database.ts";
import { type CrashingBot, LAST, NOBODY, startBot } from "./journal-crash-points/crashing-bot.ts";
import { holdSteps, type RowsOfJournal, rowsOfJournal } from "./journal-crash-points/held-rows.ts";
import {
  type JournalProcess,
  startJournalProcess,
} from "./journal-crash-points/journal-process.ts";
import { startWireGate, type WireGate } from "./journal-crash-points/wire-gate.ts";

/**
 * The journal's process, and Postgres, killed at every step of a batch: each step holds a batch of a bot of its own, and one blow
 * falls on all of them. A clean run says which steps there are, so a new statement cannot escape.
 */

let database: TestDatabase;
let pool: Pool;
let rows: RowsOfJournal;
let gate: WireGate;
let journal: JournalProcess;
/** What is kept of a bot that nobody disturbed. */
let undisturbed: readonly string[];
/** Rows that its second batch wrote. */
let writes: readonly string[];

beforeAll(async () => {
  database = await startDatabase();
  database.superuser.on("error", () => {}); // it dies with Postgres
  pool = createPool({ url: database.superuserUrl, connectionsMax: 4 });
  rows = await rowsOfJournal(pool);
  gate = await startWireGate(database.journalUrl);
  journal = await startJournalProcess(gate.url);
  const bot = await startBot(journal, pool);
  await bot.tell("first");
  const before = new Set(await rows.of(bot));
  await bot.tell("second");
  undisturbed = await rows.of(bot);
  const written = undisturbed.filter((line) => !before.has(line)).map(stepOf);
  writes = [...new Set(written)];
});
afterAll(async () => {
  await journal.stop();
  await gate.stop();
  await pool.end();
  await database.stop();
});

/** Table and, where rows have one, kind. */
function stepOf(line: string): string {
  const [table = ""] = line.split(" ", 1);
  const { kind } = z
    .object({ kind: z.string().optional() })
    .parse(JSON.parse(line.slice(table.length)));
  return kind === undefined ? table : `${table}/${kind}`;
}

const ofResults = (step: string) => step.includes("request");

/** The end of each transaction is a step as well. */
const rowSteps = () => [...writes, "commit", "commit of request_results"];

/** Steps at the wire, before and after each statement, with what Postgres keeps then. */
const WIRE_STEPS = [
  ["question", "append_records", LAST.first],
  ["answer", "append_records", LAST.second],
  ["question", "append_request_results", LAST.second],
  ["answer", "append_request_results", LAST.second],
] as const;
const wireStep = ([what, statement]: (typeof WIRE_STEPS)[number]) => `${what} of ${statement}`;

interface Held {
  readonly step: string;
  readonly bot: CrashingBot;
  /** Sequence that Postgres keeps when the blow falls. */
  readonly kept: number;
  /** Tells the batch and comes back when it is at its step. */
  readonly arrive: () => Promise<unknown>;
  /** What the bot heard in the end. */
  heard: Promise<readonly number[]>;
}

/** One bot for each step, each with an acknowledged batch. */
async function botsAtSteps(): Promise<readonly Held[]> {
  const prepared = async (step: string, kept: number, arrive: (held: Held) => Promise<unknown>) => {
    const bot = await startBot(journal, pool);
    expect(await bot.tell("first")).toEqual([200]);
    const held: Held = { step, bot, kept, arrive: () => arrive(held), heard: Promise.resolve([]) };
    return held;
  };
  const tell = (held: Held) => (held.heard = held.bot.tell("second"));
  return Promise.all([
    prepared("half of it received", LAST.first, ({ bot }) => bot.tellHalf()),
    ...WIRE_STEPS.map((wire) =>
      prepared(wireStep(wire), wire[2], async (held) => {
        const reached = gate.hold(wire[0], [`${wire[1]}(`, held.bot.bot]);
        void tell(held);
        await reached;
      }),
    ),
    ...rowSteps().map((step) =>
      prepared(step, ofResults(step) ? LAST.second : LAST.first, async (held) => void tell(held)),
    ),
    prepared("answered", LAST.second, tell),
  ]);
}

/** Connections that wait for a lock of ours, or for one who does, and began after a moment. */
async function waiting(sinceMs: number): Promise<number> {
  const { rows: found } = await pool.query<{ count: number }>(
    `select count(*)::int as count from pg_stat_activity
      where usename = 'tradingbots_journal' and wait_event_type = 'Lock'
        and backend_start > to_timestamp($1::float8 / 1000)`,
    [sinceMs],
  );
  return found[0]?.count ?? 0;
}

async function untilWaiting(count: number, sinceMs: number): Promise<void> {
  while ((await waiting(sinceMs)) < count) await sleep(5);
}

async function keptOf({ bot }: Held): Promise<number> {
  const { rows: found } = await pool.query<{ last: number }>(
    "select last_sequence::int as last from journal_sessions where bot_id = $1",
    [bot.bot],
  );
  return found[0]?.last ?? NaN;
}

/** Brings all bots to their steps, lets a blow fall and has everybody repeat. */
async function strikeAll(blow: (release: () => Promise<void>, steps: number) => Promise<void>) {
  const held = await botsAtSteps();
  const byStep = new Map(held.map((each) => [each.step, each]));
  const locks = await holdSteps(
    database.superuserUrl,
    rowSteps().map((step) => [byStep.get(step)?.bot.userId ?? "", step] as const),
  );
  await Promise.all(held.map(({ arrive }) => arrive()));
  await untilWaiting(rowSteps().length, 0);
  const kept = await Promise.all(held.map(keptOf));
  expect(named(held, kept)).toEqual(
    named(
      held,
      held.map((each) => each.kept),
    ),
  );

  await blow(locks.release, rowSteps().length);
  const heard = await Promise.all(held.map(({ heard: told }) => told));
  await byStep.get("half of it received")?.bot.tell("second");
  const all = named(
    held,
    held.map(() => undisturbed),
  );
  expect(named(held, await rowsOfAll(held))).toEqual(all);
  await Promise.all(held.map(({ bot }) => bot.tell("second"))); // whose answer got lost on its way
  expect(named(held, await rowsOfAll(held))).toEqual(all);
  return named(
    held,
    heard.map((statuses) => statuses[0]),
  );
}

const rowsOfAll = (held: readonly Held[]) => Promise.all(held.map(({ bot }) => rows.of(bot)));

function named(held: readonly Held[], values: readonly unknown[]) {
  return Object.fromEntries(held.map(({ step }, index) => [step, values[index]]));
}

test("steps are those that a clean run shows", () => {
  expect(writes).toEqual(
    expect.arrayContaining(["fills", "journal_sessions", "live_events/request", "request_results"]),
  );
  expect(writes.length).toBeGreaterThan(12);
});

/** What bots hear first: those whose answer was on its way, by the blow. */
const firstHeard = (struck: number) => ({
  ...Object.fromEntries([...rowSteps(), ...WIRE_STEPS.map(wireStep)].map((step) => [step, struck])),
  "half of it received": undefined,
  answered: 200,
});

test("kill -9 of the journal at every step of a batch: what was acknowledged is kept, and nothing twice", async () => {
  const heard = await strikeAll(async (release, steps) => {
    const struckMs = Date.now();
    await journal.kill();
    await journal.startAgain();
    // The statements of the dead go on: those of the living wait behind them, and are let go together with them.
    await untilWaiting(steps, struckMs);
    await release();
  });
  expect(heard).toEqual(firstHeard(NOBODY));
});

test("Postgres ended and started again at every step of a batch: what was acknowledged is kept, and nothing twice", async () => {
  const heard = await strikeAll(() => database.restart());
  expect(heard).toEqual(firstHeard(503));
});
