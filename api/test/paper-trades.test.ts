import type { RecordBody } from "@tradingbots/crds";
import { SessionAnswer } from "@tradingbots/crds";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createPool } from "../src/database.ts";
import { endTradesOfGonePaperBots } from "../src/journal/paper-trades.ts";
import { startDatabase, type TestDatabase } from "./database.ts";
import { fill, trade } from "./journal.ts";
import { createBot, type JournalApp, type Pod, startJournalApp } from "./journal-app.ts";

let database: TestDatabase;
let journal: JournalApp;
let workerPool: ReturnType<typeof createPool>;
beforeAll(async () => {
  database = await startDatabase();
  workerPool = createPool({ url: database.workerUrl, connectionsMax: 2 });
  journal = await startJournalApp(database);
});
afterAll(async () => {
  await journal.close();
  await workerPool.end();
  await database.stop();
});

async function openSession(pod: Pod): Promise<SessionAnswer> {
  const { status, body } = await pod.post("/v1/session", {});
  expect(status).toBe(200);
  return SessionAnswer.parse(body);
}

async function tell(pod: Pod, bodies: readonly RecordBody[]): Promise<void> {
  const { epoch } = await openSession(pod);
  const records = bodies.map((body, index) => ({ sequence: index + 1, body }));
  expect((await pod.post("/v1/records", { epoch, records })).status).toBe(200);
}

async function trades(botId: string) {
  const { rows } = await database.superuser.query<Record<string, unknown>>(
    `select right(id::text, 1)::int as id, closed_at > opened_at as "isClosed", pnl, reason
       from trades where bot_id = $1 order by 1`,
    [botId],
  );
  return rows;
}

const OPEN = { isClosed: null, pnl: null, reason: null };
const ENDED = { isClosed: true, pnl: "-0.33", reason: "ended" };
const STOPPED = { isClosed: true, pnl: "5", reason: "stop" };
/** What a paper bot tells: one open trade, one that is closed. */
const onPaper = [
  fill("paper-1-buy", 1),
  trade(1),
  fill("paper-2-buy", 2),
  trade(2, { exitPrice: "1", pnl: "5", closedAt: "2026-01-02T05:00:00Z", reason: "stop" }),
];

test("what was open on paper ends when the bot trades on an account; what the account has stays open", async () => {
  const botId = await createBot(database, "acct-1");
  const pod = { botId, uid: "live", issuedAtMinute: 3 };
  await tell(journal.pod(botId, "paper-a", 1), onPaper);
  const again = await openSession(journal.pod(botId, "paper-b", 2));
  expect(again.openTrades).toHaveLength(1);
  await tell(journal.podOf("acct-1", pod), [fill("execution-3", 3), trade(3)]);
  const wanted = [
    { id: 1, ...ENDED },
    { id: 2, ...STOPPED },
    { id: 3, ...OPEN },
  ];
  expect(await trades(botId)).toEqual(wanted);
  const live = await openSession(
    journal.podOf("acct-1", { ...pod, uid: "next", issuedAtMinute: 4 }),
  );
  expect(live.openTrades.map(({ id }) => id.at(-1))).toEqual(["3"]);
  expect(await trades(botId)).toEqual(wanted);
});

test("an open trade of a paper bot ends when the bot is gone, and that of no other", async () => {
  const [gone, there, onAccount] = [
    await createBot(database),
    await createBot(database),
    await createBot(database, "acct-2"),
  ];
  for (const botId of [gone, there, onAccount])
    await tell(journal.pod(botId, `${botId}-1`, 1), onPaper);
  expect(await endTradesOfGonePaperBots(workerPool)).toBe(0);
  await database.superuser.query("update bots set gone_at = now() where id = any($1)", [
    [gone, onAccount],
  ]);
  expect(await endTradesOfGonePaperBots(workerPool)).toBe(1);
  expect(await endTradesOfGonePaperBots(workerPool)).toBe(0);
  expect(await trades(gone)).toEqual([
    { id: 1, ...ENDED },
    { id: 2, ...STOPPED },
  ]);
  for (const botId of [there, onAccount])
    expect(await trades(botId)).toMatchObject([OPEN, STOPPED]);
});
