import { Client } from "pg";
import type { TestDatabase } from "../../../api/test/database.ts";
import type { Figure } from "../figure.ts";
import { makeDurable } from "../intents.ts";
import { percentile, spread } from "../statistics.ts";
import { type BenchBot, createBots, openSession, startJournal } from "./bench-bots.ts";
import { closedLoop, openLoop, requestBytes } from "./http-load.ts";
import { recordsOf } from "./records.ts";

const USERS = 16;
const BOTS_PER_USER = 4;
const BATCH = 100;
const SMALL_BATCH = 10;
const CONNECTIONS = 16;
const WARM_UP_MS = 3_000;
const FULL_MS = 15_000;
const PACED_MS = 20_000;
const AIM_PER_SECOND = 20_000;
/** Where the aim is out of reach, acknowledgements are timed at this share of what is not. */
const SHARE_OF_FULL_LOAD = 0.8;

/** What the journal takes from many bots that have much to tell, with every commit on disk. */
export async function measureJournal(
  database: TestDatabase,
  directory: string,
): Promise<readonly Figure[]> {
  await makeDurable(database.superuser);
  const journal = await startJournal(database, directory);
  try {
    const rows = await createBots(database, { users: USERS, perUser: BOTS_PER_USER });
    const bots = await Promise.all(rows.map((row) => openSession(journal.port, row)));
    const load = (batch: number) => ({
      port: journal.port,
      next: batches(bots, batch),
      connections: CONNECTIONS,
    });
    const warm = await closedLoop({ ...load(BATCH), durationMs: WARM_UP_MS });
    const pace = Math.min(AIM_PER_SECOND, warm.perSecond * BATCH * SHARE_OF_FULL_LOAD);
    // Before the full load, which leaves Postgres a gigabyte to bring from its log to its tables: those who come after it wait for that.
    const paced = await openLoop({
      ...load(BATCH),
      perSecond: pace / BATCH,
      durationMs: PACED_MS,
    });
    const full = await closedLoop({ ...load(BATCH), durationMs: FULL_MS });
    const perSecond = full.perSecond * BATCH;
    const small = await closedLoop({ ...load(SMALL_BATCH), durationMs: FULL_MS / 3 });
    await assertStored(database, bots);
    const bare = await bareInserts(database.superuserUrl);
    const what = `batches of ${BATCH} (orders, fills, trades, equity, events, reports) of ${bots.length} bots over HTTP, fsync on; journal, Postgres and load on the same two cores`;
    return [
      {
        key: "journal_records_per_s",
        value: perSecond,
        aim: { least: AIM_PER_SECOND },
        baseline: `bare durable inserts of ${BATCH} rows into one table ${bare.toFixed(0)}/s; batches of ${SMALL_BATCH} ${(small.perSecond * SMALL_BATCH).toFixed(0)}/s`,
        how: `${what}; ${CONNECTIONS} batches under way; answers ${spread(full.latenciesMs)}`,
      },
      {
        key: "journal_ack_ms_p99",
        value: percentile(paced.latenciesMs, 0.99),
        aim: { most: 50 },
        baseline: `its own median ${percentile(paced.latenciesMs, 0.5).toFixed(1)}`,
        how: `${spread(paced.latenciesMs)}; at ${pace.toFixed(0)} records/s; ${what}`,
      },
    ];
  } finally {
    await journal.stop();
  }
}

/** Each call is the next batch of the next bot. */
function batches(bots: readonly BenchBot[], size: number): () => string {
  let turn = 0;
  return () => {
    const bot = bots[turn++ % bots.length];
    if (bot === undefined) throw new Error("no bots");
    const body = `{"epoch":${bot.epoch},"records":[${recordsOf(bot, size)}]}`;
    bot.sequence += size;
    return requestBytes("POST /v1/records", bot.headers, body);
  };
}

/** What was acknowledged is there: every record was, so the sessions say the last of each bot. */
async function assertStored({ superuser }: TestDatabase, bots: readonly BenchBot[]): Promise<void> {
  const { rows } = await superuser.query<{ bot_id: string; last_sequence: string }>(
    "select bot_id, last_sequence from journal_sessions",
  );
  const stored = new Map(rows.map((row) => [row.bot_id, Number(row.last_sequence)]));
  for (const { id, sequence } of bots) {
    if (stored.get(id) !== sequence) throw new Error(`${id}: ${stored.get(id)} of ${sequence}`);
  }
}

/** Rows a second of one table with one index, over four connections: no HTTP, no checks, nobody's rights. */
async function bareInserts(url: string): Promise<number> {
  const clients = Array.from({ length: 4 }, () => new Client(url));
  await Promise.all(clients.map((client) => client.connect()));
  await clients[0]?.query("create table bench_records (id bigserial primary key, body json)");
  const body = recordsOf({ id: "bot-x", userId: "", headers: {}, epoch: 1, sequence: 0 }, BATCH);
  const endsMs = performance.now() + 5_000;
  const counts = await Promise.all(
    clients.map(async (client) => {
      let count = 0;
      for (; performance.now() < endsMs; count += BATCH) {
        await client.query(
          "insert into bench_records (body) select * from json_array_elements($1)",
          [`[${body}]`],
        );
      }
      return count;
    }),
  );
  await Promise.all(clients.map((client) => client.end()));
  return counts.reduce((sum, count) => sum + count, 0) / 5;
}
