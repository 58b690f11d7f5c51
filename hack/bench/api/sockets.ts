import { randomInt, randomUUID } from "node:crypto";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { TestDatabase } from "../../../api/test/database.ts";
import type { Figure } from "../figure.ts";
import { percentile, spread } from "../statistics.ts";
import { type BenchBot, createBots, openSession, startJournal } from "./bench-bots.ts";
import { openLoop, requestBytes } from "./http-load.ts";
import { tradeOf } from "./records.ts";
import { accessToken, startProgram, startServer } from "./server-process.ts";

const PER_USER = 10;
/** Bots that trade; the rest of the users only listen. */
const TRADING = 500;
const TRADES_PER_SECOND = 50;
const TELLING_MS = 20_000;
/** For the last events to arrive. */
const SETTLE_MS = 2_000;
/** A process may open no more files than the machine allows; two share the clients' end. */
const CLIENTS = 2;

const Told = z.object({ latenciesMs: z.array(z.number()), gone: z.int() });

/** What a connection that listens costs the API's process, and how soon owners hear of a trade. */
export async function measureSockets(
  database: TestDatabase,
  directory: string,
  count: number,
): Promise<readonly Figure[]> {
  const server = await startServer(database, join(directory, "sockets.log"));
  const journal = await startJournal(database, directory);
  const stops = [server.stop, journal.stop];
  try {
    const owners = await createBots(database, { users: count / PER_USER, perUser: 1 });
    const tokens = await Promise.all(owners.map(({ userId }) => accessToken(userId)));
    const before = await server.residentBytes();
    const clients = [];
    const settings = JSON.stringify({ port: server.api, tokens, count: count / CLIENTS });
    for (const name of Array.from({ length: CLIENTS }, (_, index) => `listener-${index}.log`)) {
      const client = await startProgram("listener-program.ts", settings, join(directory, name));
      clients.push(client);
      stops.push(client.stop);
    }
    const each = ((await server.residentBytes()) - before) / count / 1_024;
    const bots: BenchBot[] = [];
    // One after the other: the journal sends away whoever comes with hundreds at once.
    for (const row of owners.slice(0, TRADING)) bots.push(await openSession(journal.port, row));
    const load = { port: journal.port, next: () => tradeOfAny(bots), connections: 8 };
    await openLoop({ ...load, perSecond: TRADES_PER_SECOND, durationMs: TELLING_MS });
    await sleep(SETTLE_MS);
    const told = await Promise.all(clients.map(async (client) => Told.parse(await client.ask({}))));
    const latenciesMs = told.flatMap((one) => one.latenciesMs);
    const wanted = ((TRADES_PER_SECOND * TELLING_MS) / 1_000) * PER_USER;
    const lost = told.reduce((sum, { gone }) => sum + gone, 0);
    if (latenciesMs.length !== wanted || lost > 0)
      throw new Error(`${latenciesMs.length} of ${wanted} events, ${lost} connections lost`);
    return figures({ count, each, latenciesMs });
  } finally {
    for (const stop of stops.toReversed()) await stop();
  }
}

/** A trade that was opened just now, told by one of the bots. */
function tradeOfAny(bots: readonly BenchBot[]): string {
  const bot = bots[randomInt(bots.length)];
  if (bot === undefined) throw new Error("no bots");
  bot.sequence += 1;
  const trade = tradeOf(randomUUID(), new Date().toISOString());
  const body = `{"epoch":${bot.epoch},"records":[{"sequence":${bot.sequence},"body":${trade}}]}`;
  return requestBytes("POST /v1/records", bot.headers, body);
}

interface Measured {
  readonly count: number;
  readonly each: number;
  readonly latenciesMs: readonly number[];
}

function figures({ count, each, latenciesMs }: Measured): readonly Figure[] {
  return [
    {
      key: "socket_kb",
      value: each,
      aim: { most: 8 },
      baseline:
        "a library's WebSocket alone 6.7 (its own receiver and sender; measured when this was written)",
      how: `resident memory of the API's process after a collection, by ${count} WebSockets of ${count / PER_USER} users`,
    },
    {
      key: "event_ms_p99",
      value: percentile(latenciesMs, 0.99),
      aim: { most: 1_000 },
      baseline: `its own median ${percentile(latenciesMs, 0.5).toFixed(0)}`,
      how: `${spread(latenciesMs)}; from a bot's word to the journal until the owner's socket has it; ${TRADES_PER_SECOND} trades/s, ${PER_USER} sockets each, ${count} open; journal, Postgres, API and listeners on the same two cores`,
    },
  ];
}
