import { randomInt } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { createPool } from "../src/database.ts";
import { startDatabase, type TestDatabase } from "./database.ts";
import { event, fill, trade } from "./journal.ts";
import { createBot, type JournalApp, startJournalApp } from "./journal-app.ts";

let database: TestDatabase;
let journal: JournalApp;

beforeAll(async () => {
  database = await startDatabase();
  database.superuser.on("error", () => {}); // it dies with the others
  journal = await startJournalApp(database);
});
afterAll(async () => {
  await journal.close();
  await database.stop();
});

const BATCHES = 120;
const EVENTS_PER_BATCH = 20;
const CRASHES = 6;
/** A batch takes some milliseconds: blows fall before, in and after it. */
const BLOW_WITHIN_MS = 12;

test("batches under which Postgres crashes and restarts are kept once and whole, and so is what users hear of them", async () => {
  const botId = await createBot(database);
  const pod = journal.pod(botId, "crashing-pod", 1);
  const { epoch } = z.object({ epoch: z.int() }).parse((await pod.post("/v1/session", {})).body);
  const watcher = createPool({ url: database.superuserUrl, connectionsMax: 1 });
  let [acknowledged, refused, crashes] = [0, 0, 0];

  /** As a bot does: the same batch again and again until it is acknowledged. */
  async function tell(batch: number): Promise<void> {
    const bodies = [
      trade(batch),
      fill(`execution-${batch}`, batch),
      ...Array.from({ length: EVENTS_PER_BATCH }, (_, index) => event(`${batch}-${index}`)),
    ];
    const first = (batch - 1) * bodies.length + 1;
    const records = bodies.map((body, index) => ({ sequence: first + index, body }));
    for (;;) {
      const { status } = await pod.post("/v1/records", { epoch, records });
      if (status === 200) break;
      expect(status).toBe(503);
      refused += 1;
      await sleep(20);
    }
    acknowledged = batch;
  }

  /** kill -9 of one server process: Postgres ends all others, recovers from its log and starts anew. */
  async function crash(): Promise<void> {
    const { rows } = await watcher.query<{ pid: number }>(
      "select pid from pg_stat_activity where usename = 'tradingbots_journal'",
    );
    const pid = rows[randomInt(Math.max(rows.length, 1))]?.pid;
    if (pid === undefined) return;
    await sleep(randomInt(BLOW_WITHIN_MS));
    process.kill(pid, "SIGKILL");
    crashes += 1;
  }

  const isOver = () => crashes >= CRASHES || acknowledged >= BATCHES;
  const hasReached = (batch: number) => acknowledged >= Math.min(batch, BATCHES);

  async function crashNowAndThen(): Promise<void> {
    while (!isOver()) {
      const next = acknowledged + 5;
      await crash().catch(() => {}); // it is not up again yet
      while (!hasReached(next)) await sleep(2);
    }
  }

  const crashing = crashNowAndThen();
  for (const batch of Array.from({ length: BATCHES }, (_, index) => index + 1)) await tell(batch);
  await crashing;
  expect(crashes).toBe(CRASHES);
  expect(refused).toBeGreaterThan(0);
  const { rows } = await watcher.query(
    `select (select count(*) from events)::int as events,
            (select count(distinct message) from events)::int as messages,
            (select count(*) from fills)::int as fills,
            (select count(*) from trades)::int as trades,
            (select count(*) from live_events)::int as told,
            (select last_id from live_heads)::int as head,
            (select max(last_sequence) from journal_sessions)::int as sequence`,
  );
  await watcher.end();
  expect(rows).toEqual([
    {
      events: BATCHES * EVENTS_PER_BATCH,
      messages: BATCHES * EVENTS_PER_BATCH,
      fills: BATCHES,
      trades: BATCHES,
      told: BATCHES,
      head: BATCHES,
      sequence: BATCHES * (EVENTS_PER_BATCH + 2),
    },
  ]);
});
