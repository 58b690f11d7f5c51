import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { signUp, type TestApi } from "../api.ts";
import { createBot, type JournalApp } from "../journal-app.ts";
import { type Actors, createActors, EVENTS_PER_BATCH, intentRequest, type Seen } from "./actors.ts";

const BOTS = 12;
const BEFORE_MS = 1_000;
const PROBE_EVERY_MS = 250;
/** Ten of one person at once are refused, whatever becomes of them. */
const LOG_IN_EVERY_MS = 2_000;
/** After the thaw. */
const RECOVERY_LIMIT_MS = 30_000;

export interface Frozen {
  readonly api: TestApi;
  readonly journal: JournalApp;
  readonly seconds: number;
}

/** What was seen while Postgres stood still, and after it. Times in ms. */
export interface Findings {
  /** From the freeze until readiness named the database, by process. */
  readonly toldAfterMs: Readonly<Record<"api" | "journal", number>>;
  /** The longest that any request waited. */
  readonly longestMs: number;
  /** The longest wait of a request with a token that came when it was known that nobody answers. */
  readonly refusedAfterMs: number;
  readonly refused: number;
  /** Answers that are neither success nor 503 with Retry-After. */
  readonly strange: readonly Seen[];
  /** From the thaw until each kind of request was answered well again. */
  readonly recoveredAfterMs: Readonly<Record<string, number>>;
  readonly acknowledged: number;
  /** Batches in the database: all of their rows, by table. */
  readonly stored: readonly number[];
  /** The same intent, sent before the thaw and twice after it. */
  readonly intents: readonly number[];
  readonly intentsStored: number;
}

/** Who asks knows after so long that nobody answers (`STALE_MS` of the API and a poll). */
const KNOWN_AFTER_MS = 3_500;

/** Lets bots and people work, stops Postgres for some seconds, and lets them go on until all is well. */
export async function freezePostgres({ api, journal, seconds }: Frozen): Promise<Findings> {
  const actors = createActors();
  const bots: Bot[] = [];
  while (bots.length < BOTS) bots.push(await openSession(actors, api, journal));
  const working = await beginWork(actors, { api, journal, seconds }, bots);
  await sleep(BEFORE_MS);
  const [first] = bots;
  if (first === undefined) throw new Error("no bots");
  const intent = () => actors.ask(intentRequest(journal.app, first.token, first.epoch));

  const frozenMs = performance.now();
  const thaw = await api.database.freeze();
  const unheard = intent();
  try {
    await sleep(seconds * 1_000);
  } finally {
    thaw();
  }
  const thawedMs = performance.now();
  const recoveredAfterMs = await recovery(actors.seen, thawedMs);
  const intents = [await unheard, await intent(), await intent()].map(({ status }) => status);
  actors.stop();
  const acknowledged = (await working.batches).reduce((sum, count) => sum + count, 0);
  await working.others;
  return {
    ...judge(actors.seen, frozenMs, thawedMs),
    recoveredAfterMs,
    acknowledged,
    intents,
    ...(await storedRows(api)),
  };
}

interface Bot {
  readonly token: string;
  readonly epoch: number;
}

async function openSession(actors: Actors, api: TestApi, { app }: JournalApp): Promise<Bot> {
  const token = `${await createBot(api.database)}|pod|1`;
  const asked = { server: app, token } as const;
  const session = await actors.ask({
    ...asked,
    what: "session",
    line: "POST /v1/session",
    body: {},
  });
  const { epoch } = z.object({ epoch: z.int() }).parse(session.body);
  return { token, epoch };
}

async function beginWork(actors: Actors, { api, journal }: Frozen, bots: readonly Bot[]) {
  const user = await signUp(api, "frozen");
  const reading = { server: api.app, token: user.accessToken, line: "GET /api/trades" } as const;
  const login = { email: "frozen@example.com", password: "correct horse battery" };
  const logIn = { server: api.app, line: "POST /api/auth/login", body: login } as const;
  const probe = { line: "GET /readyz" } as const;
  const others = [
    actors.repeat({ ...reading, what: "read" }, 50),
    actors.repeat({ ...logIn, what: "log-in" }, LOG_IN_EVERY_MS),
    actors.repeat({ ...probe, what: "api", server: api.app }, PROBE_EVERY_MS),
    actors.repeat({ ...probe, what: "journal", server: journal.app }, PROBE_EVERY_MS),
    ...bots.slice(0, 1).map(({ token, epoch }) => {
      const lease = {
        server: journal.app,
        token,
        line: "POST /v1/lease",
        body: { epoch },
      } as const;
      return actors.repeat({ ...lease, what: "lease" }, 200);
    }),
  ];
  const batches = bots.map(({ token, epoch }) => actors.tell(journal.app, token, epoch));
  return { others: Promise.all(others), batches: Promise.all(batches) };
}

/** Waits until each kind of request that is made all the time has been answered well after the thaw. */
async function recovery(seen: readonly Seen[], thawedMs: number) {
  const kinds = ["read", "log-in", "api", "journal", "lease", "batch"];
  const deadline = thawedMs + RECOVERY_LIMIT_MS;
  for (;;) {
    const well = seen.filter(
      ({ sentMs, status, body }) =>
        sentMs > thawedMs && (status === 200 || Well.safeParse(body).success),
    );
    const firsts = kinds.map((kind) => well.find(({ what }) => what === kind));
    if (firsts.every((found) => found !== undefined)) {
      return Object.fromEntries(firsts.map(({ what, endedMs }) => [what, endedMs - thawedMs]));
    }
    if (performance.now() > deadline) {
      const missing = kinds.filter((_, index) => firsts[index] === undefined);
      throw new Error(`not well again after the thaw: ${missing.join(", ")}`);
    }
    await sleep(20);
  }
}

const Told = z.object({ checks: z.object({ database: z.literal("failing") }) });
/** Of the journal: there is no cluster in this test, so its own readiness stays false. */
const Well = z.object({ checks: z.object({ database: z.literal("ok") }) });

const isProbe = ({ what }: Seen) => what === "api" || what === "journal";

function judge(seen: readonly Seen[], frozenMs: number, thawedMs: number) {
  const frozen = seen.filter(({ endedMs }) => endedMs > frozenMs && endedMs < thawedMs);
  const toldAfter = (process: string) => {
    const told = frozen.find(
      ({ what, status, body }) =>
        what === process && status === 503 && Told.safeParse(body).success,
    );
    return told === undefined ? Infinity : told.endedMs - frozenMs;
  };
  const waits = seen.map(({ sentMs, endedMs }) => endedMs - sentMs);
  const known = frozen.filter(
    ({ what, sentMs }) => what === "read" && sentMs > frozenMs + KNOWN_AFTER_MS,
  );
  return {
    toldAfterMs: { api: toldAfter("api"), journal: toldAfter("journal") },
    longestMs: Math.max(...waits),
    refusedAfterMs: Math.max(...known.map(({ sentMs, endedMs }) => endedMs - sentMs)),
    refused: frozen.filter(({ status }) => status === 503).length,
    strange: seen.filter(
      (each) =>
        each.status !== 200 && !(each.status === 503 && (each.hasRetryAfter || isProbe(each))),
    ),
  };
}

async function storedRows({ database }: TestApi) {
  const { rows } = await database.superuser.query<Record<string, number>>(
    `select (select count(*) from trades)::int as trades, (select count(*) from fills)::int as fills,
            (select count(*) from events)::int as events, (select count(*) from intents)::int as intents`,
  );
  const { trades = 0, fills = 0, events = 0, intents = 0 } = rows[0] ?? {};
  return { stored: [trades, fills, events / EVENTS_PER_BATCH], intentsStored: intents };
}
