import { join } from "node:path";
import type { TestDatabase } from "../../../api/test/database.ts";
import type { Figure } from "../figure.ts";
import { percentile, spread } from "../statistics.ts";
import { closedLoop, openLoop, requestBytes } from "./http-load.ts";
import { accessToken, startServer } from "./server-process.ts";

const USERS = 200;
const BOTS_PER_USER = 3;
const TRADES_PER_BOT = 300;
const CONNECTIONS = 32;
const WARM_UP_MS = 3_000;
const SATURATED_MS = 8_000;
const PACED_MS = 20_000;
const SHARE_OF_FULL_LOAD = 0.7;

/** Lists of trades and the caller's own row, as the user, from Postgres with row-level security. */
export async function measureReads(
  database: TestDatabase,
  directory: string,
): Promise<readonly Figure[]> {
  const users = await writeTrades(database);
  const requests = await requestsOf(users);
  const bound = await underLoad(database, database.apiUrl, { requests, directory });
  // The superuser is not bound by it; all else is the same.
  const unbound = await underLoad(database, database.superuserUrl, { requests, directory });
  const baseline = `without row-level security, at 70 % of its ${unbound.full.toFixed(0)}/s: ${spread(unbound.latenciesMs)}`;
  const how = `${spread(bound.latenciesMs)}; 70 % of ${bound.full.toFixed(0)} requests/s, ${CONNECTIONS} connections; pages of 50 of ${USERS * BOTS_PER_USER * TRADES_PER_BOT} trades and /api/me in turns; API, Postgres and load on the same two cores`;
  return [
    {
      key: "rls_ms_p50",
      value: percentile(bound.latenciesMs, 0.5),
      aim: { most: 10 },
      baseline,
      how,
    },
    {
      key: "rls_ms_p99",
      value: percentile(bound.latenciesMs, 0.99),
      aim: { most: 75 },
      baseline,
      how,
    },
    {
      key: "rls_requests_per_s",
      value: bound.full,
      baseline: `without row-level security ${unbound.full.toFixed(0)}`,
      how: "at full load, the same mix",
    },
  ];
}

interface Requests {
  readonly requests: readonly string[];
  readonly directory: string;
}

async function underLoad(
  database: TestDatabase,
  apiUrl: string,
  { requests, directory }: Requests,
) {
  const server = await startServer(
    { apiUrl, authUrl: database.authUrl },
    join(directory, "reads.log"),
  );
  try {
    let turn = 0;
    const next = () => requests[turn++ % requests.length] ?? "";
    const load = { port: server.api, next, connections: CONNECTIONS };
    await closedLoop({ ...load, durationMs: WARM_UP_MS });
    const { perSecond: full } = await closedLoop({ ...load, durationMs: SATURATED_MS });
    const perSecond = full * SHARE_OF_FULL_LOAD;
    const { latenciesMs } = await openLoop({ ...load, perSecond, durationMs: PACED_MS });
    return { full, latenciesMs };
  } finally {
    await server.stop();
  }
}

async function requestsOf(users: readonly string[]): Promise<readonly string[]> {
  const pairs = users.map(async (userId) => {
    const headers = { authorization: `Bearer ${await accessToken(userId)}` };
    return [
      requestBytes("GET /api/trades?limit=50", headers),
      requestBytes("GET /api/me", headers),
    ];
  });
  return (await Promise.all(pairs)).flat();
}

async function writeTrades({ superuser }: TestDatabase): Promise<readonly string[]> {
  const { rows } = await superuser.query<{ id: string }>(
    `insert into users (id, email, password_hash, namespace)
     select gen_random_uuid(), 'reader-' || n || '@example.com', 'x', 'tradingbots-00'
       from generate_series(1, $1::int) n returning id`,
    [USERS],
  );
  await superuser.query(
    `insert into bots (user_id, id, namespace)
     select id, 'bot-' || substr(id::text, 1, 18) || n, namespace
       from users, generate_series(1, $1::int) n where email like 'reader-%'`,
    [BOTS_PER_USER],
  );
  await superuser.query(
    `insert into trades (user_id, bot_id, id, epoch, sequence, symbol, side, quantity, entry_price,
                         exit_price, pnl, fees, opened_at, closed_at, reason)
     select user_id, bots.id, gen_random_uuid(), 1, n, 'BTC/USDT:USDT', 'long', 0.010, 60000.10,
            60100.20, 1.001, 0.33, now() - n * interval '1 hour', now() - n * interval '1 hour' + interval '20 minutes', 'target'
       from bots, generate_series(1, $1::int) n`,
    [TRADES_PER_BOT],
  );
  await superuser.query("vacuum analyze");
  return rows.map(({ id }) => id);
}
