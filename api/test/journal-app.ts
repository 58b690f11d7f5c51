import type { Pool } from "pg";
import { createPool, type DatabaseOptions } from "../src/database.ts";
import { createAnnouncer } from "../src/journal/announcer.ts";
import { buildJournal } from "../src/journal/app.ts";
import type { Halts } from "../src/journal/halts.ts";
import type { KnownHalts } from "../src/journal/known-halts.ts";
import { LIVE_CHANNEL } from "../src/live/channel.ts";
import { createMetrics } from "../src/metrics.ts";
import type { TestDatabase } from "./database.ts";
import type { Answer } from "./journal.ts";

const USER = "00000000-0000-4000-8000-00000000000a";
const NAMESPACE = "tradingbots-00";
const CONNECTIONS = 16;
const OPERATOR = "system:serviceaccount:tradingbots:tradingbots-operator";

/** One pod's side of the protocol. */
export interface Pod {
  readonly uid: string;
  post(path: string, body: unknown): Promise<Answer>;
}

function unused(): never {
  throw new Error("not part of this test");
}

/** A database that crashes on purpose announces nothing. */
function ignore(): void {}

/** Of a replica that has heard of none, and knows less than any other. */
export const NO_HALTS: KnownHalts = { asOf: 0, halts: [] };

interface JournalOptions extends Pick<DatabaseOptions, "statementLimitMs"> {
  readonly watch?: (pool: Pool) => void;
  readonly podExists?: (token: string) => Promise<boolean>;
  readonly halts?: Halts;
  /** What verifying a token waits for. */
  readonly verifying?: () => Promise<void>;
  readonly requestsMax?: number;
  /** Hears of bots with a new report. */
  readonly reported?: (botId: string) => void;
}

/**
 * The journal's real application on a real Postgres, in this process and without a cluster: a token is what the cluster would
 * have signed into it.
 */
export async function startJournalApp(database: TestDatabase, options: JournalOptions = {}) {
  const { watch, podExists = unused, verifying, requestsMax = 2_000, ...others } = options;
  const { reported = ignore, halts = () => NO_HALTS, ...limits } = others;
  const pool = createPool({ url: database.journalUrl, connectionsMax: CONNECTIONS, ...limits });
  watch?.(pool);
  const news = createAnnouncer({ database: pool, channel: LIVE_CHANNEL, onError: ignore });
  const app = await buildJournal({
    pool,
    tokens: {
      verify: async (token) => {
        await verifying?.();
        return holderOf(token);
      },
      ping: unused,
    },
    podExists,
    halts,
    hub: { subscribe: unused, isListening: () => true, close: async () => {} },
    reported: { announce: reported },
    news,
    operatorSubject: OPERATOR,
    requestsMax,
    registry: createMetrics(),
    log: { level: "silent", stream: { write: ignore } }, // probes have a level of their own
  });
  async function post(path: string, token: string, body: unknown): Promise<Answer> {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const payload = JSON.stringify(body);
    const answer = await app.inject({ method: "POST", url: path, headers, payload });
    return { status: answer.statusCode, body: answer.json<unknown>() };
  }
  async function get(path: string, token: string = OPERATOR): Promise<Answer> {
    const headers = { authorization: `Bearer ${token}` };
    const answer = await app.inject({ method: "GET", url: path, headers });
    return { status: answer.statusCode, body: answer.json<unknown>() };
  }
  return {
    app,
    /** As the operator, or with the token of a pod. */
    get,
    /** The same pod may speak to several replicas of the journal. */
    pod: (botId: string, uid: string, issuedAtMinute: number): Pod => ({
      uid,
      post: (path, body) => post(path, `${botId}|${uid}|${issuedAtMinute}`, body),
    }),
    /** A pod that trades on an account. */
    podOf: (account: string, { botId, uid, issuedAtMinute }: PodName): Pod => ({
      uid,
      post: (path, body) => post(path, `${botId}|${uid}|${issuedAtMinute}|${account}`, body),
    }),
    close: async () => {
      await app.close();
      await news.close();
      await pool.end();
    },
  };
}
export type JournalApp = Awaited<ReturnType<typeof startJournalApp>>;

interface PodName {
  readonly botId: string;
  readonly uid: string;
  readonly issuedAtMinute: number;
}

function holderOf(token: string) {
  const [name = "", uid = "", issued = "", serviceAccount = `paper-${name}`] = token.split("|");
  return {
    subject: token === OPERATOR ? OPERATOR : `system:serviceaccount:${NAMESPACE}:${serviceAccount}`,
    namespace: NAMESPACE,
    serviceAccount,
    pod: { name, uid },
    issuedAt: new Date(Number(issued) * 60_000),
  };
}

let bots = 0;

/** A bot's rows, as the API leaves them; without an account it is a paper bot. */
export async function createBot({ superuser }: TestDatabase, account?: string): Promise<string> {
  bots += 1;
  const id = `lease-bot-${bots}`;
  await superuser.query(
    `insert into users (id, email, password_hash, namespace) values ($1, 'a@example.com', 'x', $2)
     on conflict do nothing`,
    [USER, NAMESPACE],
  );
  if (account !== undefined) {
    await superuser.query(
      "insert into accounts (user_id, id, namespace) values ($1, $2, $3) on conflict do nothing",
      [USER, account, NAMESPACE],
    );
  }
  await superuser.query(
    "insert into bots (user_id, id, namespace, account_id) values ($1, $2, $3, $4)",
    [USER, id, NAMESPACE, account],
  );
  return id;
}
