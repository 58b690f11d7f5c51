import { Registry } from "prom-client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { createPool } from "../src/database.ts";
import { removeSessionsOfGoneBots } from "../src/journal/gone-bots.ts";
import { gaugeMonths, keepMonths } from "../src/journal/months.ts";
import { startDatabase, type TestDatabase } from "./database.ts";
import { createBot, type JournalApp, type Pod, startJournalApp } from "./journal-app.ts";

let database: TestDatabase;
let journal: JournalApp;
let workerPool: ReturnType<typeof createPool>;
let pod: Pod;
let botId: string;
let epoch: number;

beforeAll(async () => {
  database = await startDatabase();
  workerPool = createPool({ url: database.workerUrl, connectionsMax: 2 });
  journal = await startJournalApp(database);
  botId = await createBot(database);
  pod = journal.pod(botId, "pod-1", 1);
  epoch = z.object({ epoch: z.int() }).parse((await pod.post("/v1/session", {})).body).epoch;
});
afterAll(async () => {
  await journal.close();
  await workerPool.end();
  await database.stop();
});

const MONTH = 12;
/** The first of a month in UTC, so many months from now. */
function monthFromNow(months: number): Date {
  const now = new Date();
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + months));
}
const nameOf = (table: string, months: number) =>
  `${table}_${monthFromNow(months).toISOString().slice(0, 7).replace("-", "_")}`;

async function tell(sequence: number, at: Date): Promise<void> {
  const told = { at: at.toISOString() };
  const records = [
    { sequence, body: { type: "event", kind: "test", message: `${sequence}`, ...told } },
    {
      sequence: sequence + 1,
      body: { type: "equity", equity: "1", available: "1", currency: "USDT", ...told },
    },
  ];
  const { status } = await pod.post("/v1/records", { epoch, records });
  expect(status).toBe(200);
}

/** Where the events of the bot are, by sequence. */
async function places(table: "events" | "equity"): Promise<readonly string[]> {
  const { rows } = await database.superuser.query<{ place: string }>(
    `select tableoid::regclass || ' ' || sequence as place from ${table} where bot_id = $1 order by sequence`,
    [botId],
  );
  return rows.map(({ place }) => place);
}

const keep = (retention = { equity: MONTH, events: MONTH }) => keepMonths(workerPool, retention);

test("months are made ahead, a record lies in its own, and sent again it is known", async () => {
  expect(await keep()).toMatchObject([
    { table: "equity", made: [], dropped: [], astray: 0, ends: monthFromNow(3) },
    { table: "events", made: [], dropped: [], astray: 0, ends: monthFromNow(3) },
  ]);
  const last = new Date(monthFromNow(1).getTime() - 1);
  for (let repetition = 0; repetition < 2; repetition++) {
    await tell(1, last);
    await tell(3, monthFromNow(1));
    await tell(5, monthFromNow(2));
  }
  expect(await places("events")).toEqual([
    `events_before_${nameOf("events", 1).slice(-7)} 1`,
    `${nameOf("events", 1)} 3`,
    `${nameOf("events", 2)} 5`,
  ]);
});

test("a record of a time without a partition waits astray, and moves when its month is made", async () => {
  const late = monthFromNow(4);
  await tell(7, late);
  await tell(7, late);
  expect((await places("events")).at(-1)).toBe("events_astray 7");
  expect((await keep()).map(({ astray }) => astray)).toEqual([1, 1]);
  await workerPool.query("select keep_months('events', 4, 12), keep_months('equity', 4, 12)");
  await tell(7, late);
  expect((await places("events")).at(-1)).toBe(`${nameOf("events", 4)} 7`);
  expect((await places("equity")).at(-1)).toBe(`${nameOf("equity", 4)} 8`);
  expect((await keep()).map(({ astray }) => astray)).toEqual([0, 0]);
});

test("what is older than what is kept goes month by month, and nothing else", async () => {
  for (const table of ["events", "equity"]) {
    await database.superuser.query(`drop table ${table}_before_${nameOf(table, 1).slice(-7)}`);
    for (let months = -15; months <= 0; months++) {
      await database.superuser.query("select make_month($1, $2)", [table, monthFromNow(months)]);
    }
  }
  await tell(20, new Date(monthFromNow(-12).getTime() - 1));
  await tell(22, monthFromNow(-12));
  await tell(24, monthFromNow(-40)); // older than all: astray, and gone at the next turn
  const [equity, events] = await keep({ equity: 100, events: MONTH });
  expect(equity?.dropped).toEqual([]);
  expect(events).toMatchObject({
    dropped: [-15, -14, -13].map((months) => nameOf("events", months)),
    astray: 0,
  });
  expect((await places("events")).slice(-1)).toEqual([`${nameOf("events", -12)} 22`]);
  expect((await places("equity")).slice(-3)).toEqual([
    `${nameOf("equity", -13)} 21`,
    `${nameOf("equity", -12)} 23`,
    "equity_astray 25",
  ]);
  expect((await keep({ equity: 100, events: MONTH }))[1]?.dropped).toEqual([]);
});

test("the job drops nothing young, knows no other table, and two at once do it once", async () => {
  await expect(keep({ equity: MONTH, events: 2 })).rejects.toThrow(/not for it to do/);
  const trades = workerPool.query("select keep_months('trades', 2, 12)");
  await expect(trades).rejects.toThrow(/not for it to do/);
  await expect(workerPool.query("drop table events")).rejects.toThrow(/must be owner/);
  const made = () =>
    workerPool.query<{ made: string[] }>("select made from keep_months('events', 9, 12)");
  const both = await Promise.all([made(), made()]);
  const lengths = both.map(({ rows }) => rows[0]?.made.length ?? -1);
  expect(lengths.toSorted((a, b) => a - b)).toEqual([0, 5]);
});

test("a metric says until when there are partitions", async () => {
  const registry = new Registry();
  gaugeMonths(registry)(await keep());
  expect(await registry.metrics()).toContain(
    `tradingbots_journal_partitions_end_timestamp_seconds{table="events"} ${monthFromNow(10).getTime() / 1_000}`,
  );
});

test("sessions of a bot go when it has been gone for long, but not the newest, and those of others stay", async () => {
  const gone = await createBot(database);
  for (const minute of [1, 2, 3]) {
    await journal.pod(gone, `pod-of-${minute}`, minute).post("/v1/session", {});
  }
  expect(await removeSessionsOfGoneBots(workerPool)).toBe(0);
  await database.superuser.query(
    "update bots set gone_at = now() - interval '31 days' where id = $1",
    [gone],
  );
  const others = "select count(*)::int as count from journal_sessions where bot_id <> $1";
  const before = await database.superuser.query(others, [gone]);
  expect(await removeSessionsOfGoneBots(workerPool)).toBe(2);
  expect(await removeSessionsOfGoneBots(workerPool)).toBe(0);
  expect((await database.superuser.query(others, [gone])).rows).toEqual(before.rows);
  const back = await journal.pod(gone, "pod-back", 60).post("/v1/session", {});
  expect(back).toMatchObject({ status: 200, body: { epoch: 4 } });
});
