import { LeaseAnswer, LeaseLeft, SessionAnswer } from "@tradingbots/crds";
import { Client, type Pool } from "pg";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { startDatabase, type TestDatabase } from "./database.ts";
import { type Answer, fill, intent, order } from "./journal.ts";
import { createBot, type JournalApp, type Pod, startJournalApp } from "./journal-app.ts";

/** What only Postgres and many connections at once can show; what a lease is stands in the contract suite. */

let database: TestDatabase;
/** Two replicas, each with its own connections. */
let apps: readonly [JournalApp, JournalApp];
/** Transactions that the first replica began. */
let transactions = 0;
let botId: string;

beforeAll(async () => {
  database = await startDatabase();
  apps = [await startJournalApp(database, { watch: counting }), await startJournalApp(database)];
});
afterAll(async () => {
  await Promise.all(apps.map((app) => app.close()));
  await database.stop();
});
beforeEach(async () => {
  botId = await createBot(database);
});

function counting(pool: Pool): void {
  pool.on("acquire", () => (transactions += 1));
}

const lease = (pod: Pod, epoch: number) => pod.post("/v1/lease", { epoch });
const append = (pod: Pod, epoch: number, id: number) =>
  pod.post("/v1/intents", { epoch, intent: intent(id) });
const isTaken = ({ status }: Answer) => status === 200;

async function sessionOf(pod: Pod) {
  const { status, body } = await pod.post("/v1/session", {});
  expect(status).toBe(200);
  return SessionAnswer.parse(body);
}

/** The pod that has the bot's lease in the database. */
async function holderOf(bot: string): Promise<string | undefined> {
  const { rows } = await database.superuser.query<{ pod_uid: string }>(
    "select pod_uid from journal_leases where bot_id = $1",
    [bot],
  );
  return rows[0]?.pod_uid;
}

/** Sets how long the lease is still valid, by the database's clock. */
async function leave(bot: string, ms: number): Promise<void> {
  await database.superuser.query(
    `update journal_leases set expires_at = clock_timestamp() + make_interval(secs => $2)
      where bot_id = $1`,
    [bot, ms / 1_000],
  );
}

test("of a renewal and a takeover at the last moment one wins, never both", async () => {
  const won = { renewal: 0, takeover: 0 };
  for (let round = 0; round < 60; round += 1) {
    const bot = await createBot(database);
    const [old, young] = [apps[0].pod(bot, "old", 1), apps[1].pod(bot, "young", 2)];
    await sessionOf(old);
    expect((await lease(old, 1)).status).toBe(200);
    await leave(bot, round % 12); // 0 to 11 ms: before, during and after what follows
    const [renewals, takeover] = await Promise.all([
      Promise.all([lease(old, 1), lease(old, 1), lease(old, 1)]),
      sessionOf(young).then(async ({ epoch }) => lease(young, epoch)),
    ]);
    const renewal = renewals.some(isTaken) ? "renewed" : "not renewed";
    const holder = isTaken(takeover) ? "taken over" : "not taken over";
    expect([
      "renewed, not taken over, old",
      "not renewed, taken over, young",
      "not renewed, not taken over, old",
    ]).toContain(`${renewal}, ${holder}, ${await holderOf(bot)}`);
    won.renewal += Number(renewals.some(isTaken));
    won.takeover += Number(isTaken(takeover));
    expect(await lease(old, 1)).toMatchObject({ body: { code: "stale_epoch" } });
  }
  expect(won.renewal).toBeGreaterThan(0);
  expect(won.takeover).toBeGreaterThan(0);
});

test("an intent is taken before a takeover, which then knows of it, or refused", async () => {
  let [taken, refused] = [0, 0];
  for (let round = 0; round < 25; round += 1) {
    const bot = await createBot(database);
    const [old, young] = [apps[0].pod(bot, "old", 1), apps[1].pod(bot, "young", 2)];
    await sessionOf(old);
    await lease(old, 1);
    const [answers, session] = await Promise.all([
      Promise.all(Array.from({ length: 10 }, async (_, id) => append(old, 1, id))),
      sessionOf(young),
    ]);
    const written = answers.flatMap((answer, id) =>
      isTaken(answer) ? [intent(id).clientOrderId] : [],
    );
    const known = session.openIntents.map(({ clientOrderId }) => clientOrderId);
    expect(known.toSorted()).toEqual(written.toSorted());
    taken += written.length;
    refused += answers.length - written.length;
  }
  expect(taken).toBeGreaterThan(0);
  expect(refused).toBeGreaterThan(0);
});

test("intents and a lease of another pod at the moment of expiry: none is taken after the grant", async () => {
  for (let round = 0; round < 25; round += 1) {
    const bot = await createBot(database);
    const old = apps[0].pod(bot, "old", 1);
    const young = apps[1].pod(bot, "young", 2);
    await sessionOf(old);
    await lease(old, 1);
    await leave(bot, round % 8);
    const intents = Array.from({ length: 8 }, async (_, id) => append(old, 1, id));
    const { epoch, openIntents } = await sessionOf(young);
    const takeover = await lease(young, epoch);
    const late = await append(old, 1, 9);
    const written = (await Promise.all(intents)).filter(isTaken).length;
    expect([written, late.body]).toMatchObject([openIntents.length, { code: "stale_epoch" }]);
    expect([200, 409]).toContain(takeover.status);
  }
});

test("an intent that waits while another pod takes over is refused, whatever the role's isolation is", async () => {
  await database.superuser.query(
    "alter role tradingbots_journal set default_transaction_isolation = 'repeatable read'",
  );
  const strict = await startJournalApp(database);
  const changing = new Client(database.superuserUrl);
  await changing.connect();
  try {
    const old = strict.pod(botId, "old", 1);
    await sessionOf(old);
    await lease(old, 1);
    await changing.query("begin");
    await changing.query("select pg_advisory_xact_lock(hashtextextended($1, 1))", [botId]);
    const waiting = append(old, 1, 1);
    await expect.poll(() => waitingForLock()).toBe(1);
    await changing.query(
      `insert into journal_sessions (user_id, bot_id, epoch, pod_uid, token_issued)
       select user_id, bot_id, 2, 'young', now() from journal_sessions where bot_id = $1`,
      [botId],
    );
    await changing.query("commit");
    expect((await waiting).body).toMatchObject({ code: "stale_epoch" });
  } finally {
    await changing.end();
    await strict.close();
    await database.superuser.query(
      "alter role tradingbots_journal reset default_transaction_isolation",
    );
  }
});

async function waitingForLock(): Promise<number> {
  const { rows } = await database.superuser.query<{ count: number }>(
    "select count(*)::int as count from pg_locks where locktype = 'advisory' and not granted",
  );
  return rows[0]?.count ?? 0;
}

test("an intent and the word that it is over, at the same moment: it is over", async () => {
  const orders = { taken: 0, refused: 0 };
  for (let round = 0; round < 25; round += 1) {
    const bot = await createBot(database);
    const pod = apps[0].pod(bot, "one", 1);
    await sessionOf(pod);
    await lease(pod, 1);
    const ids = [1, 2, 3, 4, 5];
    const tell = async (id: number) => {
      const records = [{ sequence: id, body: order(id, "cancelled") }];
      return apps[1].pod(bot, "one", 1).post("/v1/records", { epoch: 1, records });
    };
    const told = round % 2 === 0 ? ids.map(tell) : []; // the word of the end is first as often as not
    const appends = ids.map(async (id) => append(pod, 1, id));
    if (told.length === 0) told.push(...ids.map(tell));
    const appended = await Promise.all(appends);
    await Promise.all(told);
    orders.taken += appended.filter(isTaken).length;
    orders.refused += appended.filter((answer) => !isTaken(answer)).length;
    expect((await sessionOf(pod)).openIntents).toEqual([]);
  }
  expect(orders.taken).toBeGreaterThan(0);
  expect(orders.refused).toBeGreaterThan(0);
});

test("batches of two epochs with the same executions in other orders do not wait for each other", async () => {
  const ids = Array.from({ length: 400 }, (_, index) => index + 1);
  for (let round = 0; round < 6; round += 1) {
    const bot = await createBot(database);
    const pods = apps.map((app) => app.pod(bot, "one", 1));
    for (const pod of pods) await sessionOf(pod);
    const answers = await Promise.all(
      [ids, ids.toReversed()].map(async (executions, index) => {
        const bodies = executions.map((id) => fill(`exec-${id}`, id));
        const records = bodies.map((body, at) => ({ sequence: at + 1, body }));
        return pods[index]?.post("/v1/records", { epoch: index + 1, records });
      }),
    );
    expect(answers).toEqual(
      ids.slice(0, 2).map(() => ({ status: 200, body: { lastSequence: 400 } })),
    );
  }
});

test("an order waits for three statements of the database", async () => {
  const sent: unknown[] = [];
  const watch = (pool: Pool) =>
    pool.on("connect", (client) => {
      const query = client.query.bind(client);
      const noting = (text: unknown, ...rest: [unknown]) => {
        sent.push(text);
        return Reflect.apply(query, client, [text, ...rest]) as unknown;
      };
      Object.assign(client, { query: noting });
    });
  const app = await startJournalApp(database, { watch });
  const pod = app.pod(botId, "one", 1);
  await sessionOf(pod);
  await lease(pod, 1);
  sent.length = 0;
  expect(isTaken(await append(pod, 1, 1))).toBe(true);
  expect(sent).toEqual([
    "begin isolation level read committed",
    expect.stringContaining("append_intent"),
    "commit",
  ]);
  await app.close();
});

test("an intent reads no more sessions when there are thousands, and old ones are removed", async () => {
  const pod = apps[0].pod(botId, "one", 1);
  await sessionOf(pod);
  await lease(pod, 1);
  await database.superuser.query(
    `insert into journal_sessions (user_id, bot_id, epoch, pod_uid, token_issued)
     select user_id, bot_id, earlier.epoch, pod_uid, token_issued
       from journal_sessions, generate_series(2, 3000) as earlier (epoch) where bot_id = $1`,
    [botId],
  );
  expect(await sessionsRead(3_000)).toBeLessThanOrEqual(4);
  const sessions = async () =>
    database.superuser.query<{ count: number; oldest: number; second: number }>(
      `select count(*)::int as count, min(epoch) as oldest, min(epoch) filter (where epoch > 1) as second
         from journal_sessions where bot_id = $1`,
      [botId],
    );
  for (let times = 0; times < 25; times += 1) await sessionOf(pod);
  expect((await sessions()).rows).toEqual([{ count: 1_001, oldest: 1, second: 2_026 }]); // 1 has the lease
  await lease(pod, 3_025);
  await sessionOf(pod);
  expect((await sessions()).rows).toEqual([{ count: 1_000, oldest: 2_027, second: 2_027 }]);
});

/** Rows of sessions that Postgres looks at to judge one process. */
async function sessionsRead(epoch: number): Promise<number> {
  const judging = new Client(database.journalUrl);
  await judging.connect();
  await judging.query("begin");
  const { rows } = await judging.query<{ user_id: string }>(
    "select speak_for($1, 'tradingbots-00', $2, $2) as user_id",
    [botId, `paper-${botId}`],
  );
  const standing = await judging.query("select * from bot_standing($1, $2, 'one', $3)", [
    rows[0]?.user_id,
    botId,
    epoch,
  ]);
  expect(standing.rows).toMatchObject([{ is_known: true, newest: epoch }]);
  const { rows: read } = await judging.query<{ read: number }>(
    `select (seq_tup_read + idx_tup_fetch)::int as read from pg_stat_xact_user_tables
      where relname = 'journal_sessions'`,
  );
  await judging.end();
  return read[0]?.read ?? Infinity;
}

test("the leases of 1,200 bots are renewed in a handful of transactions", async () => {
  const pods: Pod[] = [];
  for (let bots = 0; bots < 1_200; bots += 1) {
    const pod = apps[0].pod(await createBot(database), "pod", 1);
    await sessionOf(pod);
    pods.push(pod);
  }
  const granted = await Promise.all(pods.map(async (pod) => lease(pod, 1)));
  expect(granted.every(isTaken)).toBe(true);
  await database.superuser.query(
    "update journal_leases set expires_at = expires_at - interval '5 s' where pod_uid = 'pod'",
  );
  transactions = 0;
  const renewed = await Promise.all(pods.map(async (pod) => lease(pod, 1)));
  expect(renewed.map(({ body }) => LeaseAnswer.parse(body).ttlMs)).toEqual(pods.map(() => 15_000));
  expect(transactions).toBeLessThan(60);
  const { rows } = await database.superuser.query<{ shortest_ms: number }>(
    `select min(extract(epoch from expires_at - clock_timestamp()))::float8 * 1000 as shortest_ms
       from journal_leases where pod_uid = 'pod'`,
  );
  expect(rows[0]?.shortest_ms).toBeGreaterThan(10_000);
});

test("a bot whose row is locked holds nobody up but itself", async () => {
  const other = await createBot(database);
  const [stuck, free] = [apps[0].pod(botId, "stuck", 1), apps[0].pod(other, "free", 1)];
  for (const pod of [stuck, free]) {
    await sessionOf(pod);
    await lease(pod, 1);
  }
  const locking = new Client(database.superuserUrl);
  await locking.connect();
  await locking.query("begin");
  await locking.query("select from journal_leases where bot_id = $1 for update", [botId]);
  let isStuck = true;
  const waiting = lease(stuck, 1).finally(() => (isStuck = false));
  for (let times = 0; times < 3; times += 1) expect(isTaken(await lease(free, 1))).toBe(true);
  expect(isStuck).toBe(true);
  await locking.query("commit");
  await locking.end();
  expect(isTaken(await waiting)).toBe(true);
});

test("a lease outlives the journal's process, and is one at all of its replicas", async () => {
  const first = await startJournalApp(database);
  const before = first.pod(botId, "pod", 1);
  await sessionOf(before);
  await lease(before, 1);
  await first.close();
  const second = await startJournalApp(database);
  expect(isTaken(await append(second.pod(botId, "pod", 1), 1, 1))).toBe(true);
  const another = apps[1].pod(botId, "another", 2);
  const { epoch } = await sessionOf(another);
  expect((await lease(another, epoch)).body).toMatchObject({ code: "lease_held" });
  await second.close();
});

test("the operator learns how long a lease lasts, and nobody else does", async () => {
  const [app] = apps;
  const leftMs = async () => LeaseLeft.parse((await app.get(`/v1/leases/${botId}`)).body).leftMs;
  expect(await leftMs()).toBe(0);
  const pod = app.pod(botId, "pod", 1);
  const { epoch } = await sessionOf(pod);
  expect(await leftMs()).toBe(0);
  await lease(pod, epoch);
  await leave(botId, 9_000);
  expect(await leftMs()).toBeGreaterThan(5_000);
  // A newer session ends renewals, not the lease: an order under it may still be on its way.
  await sessionOf(app.pod(botId, "another", 2));
  expect(await leftMs()).toBeGreaterThan(0);
  await leave(botId, -1);
  expect(await leftMs()).toBe(0);
  await lease(pod, epoch);
  await pod.post("/v1/lease/release", { epoch });
  expect(await leftMs()).toBe(0);
  const { status, body } = await app.get(`/v1/leases/${botId}`, `${botId}|pod|1`);
  expect([status, body]).toEqual([403, expect.objectContaining({ code: "unknown_bot" })]);
});

test("a lease runs out by the database's clock, whatever the journal's says", async () => {
  const pod = apps[0].pod(botId, "pod", 1);
  await sessionOf(pod);
  await lease(pod, 1);
  const real = Date.now;
  try {
    Date.now = () => real() + 3_600_000;
    expect(isTaken(await append(pod, 1, 1))).toBe(true);
    Date.now = () => real() - 3_600_000;
    await leave(botId, -1);
    expect((await append(pod, 1, 2)).body).toMatchObject({ code: "no_lease" });
  } finally {
    Date.now = real;
  }
});
