import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { json } from "node:stream/consumers";
import type { Intent, RecordBody } from "@tradingbots/crds";
import { Client } from "pg";
import { type Halt, shareHalts } from "../../api/src/journal/known-halts.ts";
import { startDatabase } from "../../api/test/database.ts";
import { createBot, NO_HALTS, startJournalApp } from "../../api/test/journal-app.ts";
import { systemClock } from "../../bot-runtime/src/clock.ts";
import { createHttpClient } from "../../bot-runtime/src/http-client.ts";
import { JournalClient } from "../../bot-runtime/src/journal/journal-client.ts";
import type { Figure } from "./figure.ts";
import { median, percentile, spread } from "./statistics.ts";

const WARM_UP = 200;
const SAMPLES = 2_000;
const ACCOUNT = "acct-bench";
const FLUSH_LIMIT_MS = 5_000;
/** Of somebody else, and known to another replica alone: each append has to read it. */
const OTHERS: Halt = {
  name: "of-others",
  spec: {
    scope: { type: "user", value: "00000000-0000-4000-8000-00000000000b" },
    action: "Flatten",
    reason: "stolen phone",
    lifted: false,
  },
};

/** The append of a live bot's intent: the bot's client, HTTP, the journal's own application, Postgres with commits on disk. */
export async function measureIntents(): Promise<readonly Figure[]> {
  const database = await startDatabase();
  const app = await startJournalApp(database);
  try {
    await makeDurable(database.superuser);
    await shareHalts(database.superuser, { asOf: NO_HALTS.asOf + 1, halts: [OTHERS] }, "-1");
    const botId = await createBot(database, ACCOUNT);
    const pod = app.podOf(ACCOUNT, { botId, uid: "bench-pod", issuedAtMinute: 1 });
    const answer = async (request: IncomingMessage, response: ServerResponse) => {
      const { status, body } = await pod.post(request.url ?? "", await json(request));
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    };
    const server = createServer((request, response) => void answer(request, response));
    await once(server.listen(0, "127.0.0.1"), "listening");
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("not a TCP server");
    const appends = await appendIntents(`http://127.0.0.1:${address.port}`);
    await assertCommitted(database.superuser);
    server.closeAllConnections();
    server.close();
    return figures(appends, await bareInserts(database.superuser));
  } finally {
    await app.close();
    await database.stop();
  }
}

/** The test server trades durability for speed: not here. */
export async function makeDurable(superuser: Client): Promise<void> {
  for (const setting of ["fsync", "synchronous_commit", "full_page_writes"])
    await superuser.query(`alter system set ${setting} = on`);
  await superuser.query("select pg_reload_conf()");
  await superuser.query("select pg_sleep(0.5)");
  const { rows } = await superuser.query<{ fsync: string }>("show fsync");
  if (rows[0]?.fsync !== "on") throw new Error("Postgres does not write to disk");
}

async function appendIntents(url: string): Promise<readonly number[]> {
  const granted = Promise.withResolvers<void>();
  const silent = { info: () => {}, warn: () => {}, error: () => {} };
  const journal = new JournalClient({
    url,
    exchange: "bybit",
    send: createHttpClient(),
    readToken: async () => "",
    log: silent,
    clock: systemClock,
    random: Math.random,
    onSession: () => granted.resolve(),
  });
  void journal.run();
  await granted.promise;
  while (journal.leaseRemainingMs() === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  const samples: number[] = [];
  for (let index = 0; index < SAMPLES + WARM_UP; index += 1) {
    const startedMs = performance.now();
    const outcome = await journal.appendIntent(intent(index));
    if (outcome !== "appended") throw new Error(`intent ${index}: ${outcome}`);
    if (index >= WARM_UP) samples.push(performance.now() - startedMs);
    journal.record(filledOrder(index));
    if (!(await journal.flush(FLUSH_LIMIT_MS))) throw new Error(`intent ${index}: fill not heard`);
  }
  await journal.end();
  return samples;
}

/** What is measured includes what the account's bots commit together. */
async function assertCommitted(superuser: Client): Promise<void> {
  const { rows } = await superuser.query<{ count: number }>(
    "select count(*)::int as count from commitments where account_id = $1 and settled_at is not null",
    [ACCOUNT],
  );
  const count = rows[0]?.count;
  if (count !== SAMPLES + WARM_UP) throw new Error(`only ${count} commitments of the account`);
}

/** What one durable row costs on this machine. */
async function bareInserts(superuser: Client): Promise<readonly number[]> {
  await superuser.query("create table bench_rows (id int primary key, body jsonb)");
  const samples: number[] = [];
  for (let index = 0; index < SAMPLES; index += 1) {
    const startedMs = performance.now();
    await superuser.query("insert into bench_rows values ($1, $2)", [
      index,
      JSON.stringify(intent(index)),
    ]);
    samples.push(performance.now() - startedMs);
  }
  return samples.slice(WARM_UP);
}

function figures(appends: readonly number[], inserts: readonly number[]): readonly Figure[] {
  const baseline = `bare durable insert p50 ${median(inserts).toFixed(2)}, p99 ${percentile(inserts, 0.99).toFixed(2)}`;
  const how = `${spread(appends)}; one after the other, over HTTP; bot's client, journal, epoch and lease check, a halt of somebody else, what the account commits together, fsync on`;
  return [
    { key: "intent_ms_p50", value: median(appends), aim: { most: 5 }, baseline, how },
    { key: "intent_ms_p99", value: percentile(appends, 0.99), aim: { most: 25 }, baseline, how },
  ];
}

function orderOf(index: number) {
  return {
    clientOrderId: `00000000-0000-8000-8000-${String(index).padStart(12, "0")}`,
    symbol: "BTC/USDT:USDT",
    side: "buy",
    quantity: "0.010",
    at: "2025-06-18T00:01:00Z",
  } as const;
}

function intent(index: number): Intent {
  return {
    ...orderOf(index),
    attempt: 0,
    leverage: 10,
    stopLoss: "59000.1",
    takeProfit: "61000.1",
    candleOpenTime: "2025-06-18T00:00:00Z",
    confidence: 80,
    commitment: { margin: "60", committed: "0", balanceAgeMs: 100, limit: "1000000" },
  };
}

/** With it the account's share is free again soon. */
function filledOrder(index: number): RecordBody {
  return {
    ...orderOf(index),
    type: "order",
    purpose: "entry",
    exchangeOrderId: `${index}`,
    status: "filled",
    code: null,
    message: null,
  };
}
