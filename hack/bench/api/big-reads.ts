import { join } from "node:path";
import { Client } from "pg";
import type { TestDatabase } from "../../../api/test/database.ts";
import { equityBySteps } from "../../../api/src/trades/equity-store.ts";
import { sumsOf } from "../../../api/src/trades/statistics-store.ts";
import { findTrades } from "../../../api/src/trades/trade-store.ts";
import type { Figure } from "../figure.ts";
import { percentile, spread } from "../statistics.ts";
import {
  botOf,
  COMMON_SYMBOL,
  ordinary,
  RARE_SYMBOL,
  whale,
  writeManyTrades,
} from "./many-trades.ts";
import { accessToken, startServer } from "./server-process.ts";

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const WARM_UP = 5;
/** Nobody's trade has this id: a page that begins after it begins at its time. */
const LAST_ID = "ffffffff-ffff-4fff-bfff-ffffffffffff";

type Bare = (database: Client) => Promise<unknown>;

interface Question {
  readonly key: string;
  readonly what: string;
  readonly count: number;
  readonly most?: number;
  /** Only until the first byte of the answer. */
  readonly isStream?: boolean;
  /** The path, and the same question in bare SQL, for the n-th time. */
  readonly of: (n: number) => { readonly user: string; readonly path: string; readonly bare: Bare };
}

/**
 * Reads over so many trades, one at a time, by the API as the user under row-level security, each beside its bare SQL as the superuser
 * on a connection of its own.
 */
export async function measureBigReads(
  database: TestDatabase,
  directory: string,
  trades: number,
): Promise<readonly Figure[]> {
  const startedMs = performance.now();
  await writeManyTrades(database, trades);
  const filled = `${trades} trades of 10,008 users, eight of them with ${trades / 80}; filled in ${((performance.now() - startedMs) / 1_000).toFixed(0)} s`;
  const server = await startServer(database, join(directory, "big-reads.log"));
  const bare = new Client(database.superuserUrl);
  await bare.connect();
  try {
    const figures: Figure[] = [];
    for (const question of questions(new Date())) {
      console.error(`  ${question.key}…`);
      figures.push(await ask(question, { port: server.api, bare, filled }));
    }
    return figures;
  } finally {
    await bare.end();
    await server.stop();
  }
}

interface Asked {
  readonly port: number;
  readonly bare: Client;
  readonly filled: string;
}

async function ask(question: Question, { port, bare, filled }: Asked): Promise<Figure> {
  const times = { api: [] as number[], bare: [] as number[] };
  for (let n = 0; n < WARM_UP + question.count; n++) {
    const { user, path, bare: run } = question.of(n);
    const headers = { authorization: `Bearer ${await accessToken(user)}` };
    const byApi = await timed(() => get(`http://127.0.0.1:${port}${path}`, headers, question));
    const bySql = await timed(() => run(bare));
    if (n < WARM_UP) continue;
    times.api.push(byApi);
    times.bare.push(bySql);
  }
  return {
    key: `${question.key}_ms_p99`,
    value: percentile(times.api, 0.99),
    ...(question.most === undefined ? {} : { aim: { most: question.most } }),
    baseline: `bare SQL ${spread(times.bare)}`,
    how: `${question.what}; ${spread(times.api)}; one at a time; ${filled}`,
  };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

async function get(
  url: string,
  headers: Readonly<Record<string, string>>,
  { isStream = false }: Question,
): Promise<void> {
  const answer = await fetch(url, { headers });
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}: ${await answer.text()}`);
  if (!isStream) return void (await answer.text());
  const reader = answer.body?.getReader();
  await reader?.read();
  await reader?.cancel();
}

function questions(now: Date): readonly Question[] {
  const ago = (ms: number) => new Date(now.getTime() - ms);
  return [...lists(ago), ...sums(now, ago), ...curves(now, ago)];
}

type Ago = (ms: number) => Date;
type Filter = Omit<Parameters<typeof findTrades>[1], "limit">;

function list(key: string, what: string, filter: (n: number) => Filter): Question {
  return {
    key: `list_${key}`,
    what: `GET /api/trades, a page of 50, ${what}`,
    count: 300,
    most: 100,
    of: (n) => ({
      user: filter(n).userId,
      path: `/api/trades?${queryOf(filter(n))}`,
      bare: (database) => findTrades(database, { ...filter(n), limit: 50 }),
    }),
  };
}

function lists(ago: Ago): readonly Question[] {
  const deep = (n: number) => ({ openedAt: ago((300 + (n % 60)) * DAY_MS), id: LAST_ID });
  return [
    list("first", "the newest of anybody", (n) => ({ userId: ordinary(n * 31) })),
    list("whale", "the newest of a whale", (n) => ({ userId: whale(n) })),
    list("deep", "a whale's behind 100,000 others", (n) => ({ userId: whale(n), after: deep(n) })),
    list("bot", "of one of a whale's bots", (n) => ({
      userId: whale(n),
      botId: botOf(whale(n), n),
    })),
    list("symbol", "of a symbol that a whale trades", (n) => ({
      userId: whale(n),
      symbol: COMMON_SYMBOL,
    })),
    list("rare_symbol", "of a symbol that a whale hardly ever traded", (n) => ({
      userId: whale(n),
      symbol: RARE_SYMBOL,
    })),
    {
      key: "csv_first_byte",
      what: "GET /api/trades.csv of a whale until its first byte; the bare SQL is the first 1,000 rows",
      count: 30,
      most: 200,
      isStream: true,
      of: (n) => ({
        user: whale(n),
        path: "/api/trades.csv",
        bare: (database) => findTrades(database, { userId: whale(n), limit: 1_000 }),
      }),
    },
  ];
}

function queryOf({ botId, symbol, after }: Filter): string {
  const cursor =
    after && Buffer.from(JSON.stringify([after.openedAt, after.id])).toString("base64url");
  const query = { botId, symbol, cursor };
  const told = Object.entries(query).filter((entry): entry is [string, string] => !!entry[1]);
  return new URLSearchParams([["limit", "50"], ...told]).toString();
}

function sums(now: Date, ago: Ago): readonly Question[] {
  const sum = (key: string, userOf: (n: number) => string, days: number): Question => ({
    key: `statistics_${key}`,
    what: `GET /api/trades/statistics over ${days} days of ${key.startsWith("whale") ? "a whale" : "anybody"}`,
    count: key.startsWith("whale") ? 30 : 200,
    ...(key.startsWith("whale") ? { most: 1_000 } : { most: 100 }),
    of: (n) => {
      const filter = { userId: userOf(n), botId: undefined, symbol: undefined };
      const range = { from: ago(days * DAY_MS), to: now };
      const query = `from=${range.from.toISOString()}&to=${range.to.toISOString()}`;
      return {
        user: filter.userId,
        path: `/api/trades/statistics?${query}`,
        bare: (database) => sumsOf(database, { ...filter, ...range }),
      };
    },
  });
  return [
    sum("anybody", (n) => ordinary(n * 31), 90),
    sum("whale_90_days", whale, 90),
    sum("whale_year", whale, 366),
  ];
}

function curves(now: Date, ago: Ago): readonly Question[] {
  const curve = (step: string, stepMs: number, steps: number): Question => ({
    key: `equity_${step}`,
    what: `GET /api/equity, ${steps} steps of ${step}, of a bot with a word each minute for 13 months`,
    count: 60,
    most: 200,
    of: (n) => {
      const user = whale(n % 2);
      const span = { from: ago(steps * stepMs + n * 60_000), to: now };
      const query = `botId=${botOf(user, 0)}&step=${step}&from=${span.from.toISOString()}`;
      const to = new Date(span.from.getTime() + steps * stepMs);
      return {
        user,
        path: `/api/equity?${query}&to=${to.toISOString()}`,
        bare: (database) =>
          equityBySteps(database, {
            userId: user,
            botId: botOf(user, 0),
            from: span.from,
            to,
            stepSeconds: stepMs / 1_000,
          }),
      };
    },
  });
  return [curve("1h", HOUR_MS, 1_000), curve("1d", DAY_MS, 380)];
}
