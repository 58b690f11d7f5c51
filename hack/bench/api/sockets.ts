import { randomInt, randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { TestDatabase } from "../../../api/test/database.ts";
import type { Figure } from "../figure.ts";
import { percentile, spread } from "../statistics.ts";
import { type BenchBot, createBots, openSession, startJournal } from "./bench-bots.ts";
import { type Answer, closedLoop, openLoop, requestBytes } from "./http-load.ts";
import { tradeOf } from "./records.ts";
import { accessToken, startProgram, startServer, type Weight, weightOf } from "./server-process.ts";

const PER_USER = 10;
/** Bots that trade; the rest of the users only listen. */
const TRADING = 500;
const TRADES_PER_SECOND = 50;
/** For the last events to arrive; on a busy machine they take their time, which is in their own figure. */
const HEARD_WITHIN_MS = 30_000;
const ASKED_EVERY_MS = 500;
/** Behind the last one: an event that comes twice comes late. */
const SETTLE_MS = 2_000;
/** A process may open no more files than the machine allows; two share the clients' end. */
const CLIENTS = 2;
/** Of those that are weighed: they bring code, pools and arenas, which are there once. */
const WARM_UP_SHARE = 0.25;
const BARE_COUNT = 4_000;
/** Files of a server that are no listener's, with room. */
const OTHER_FILES = 1_000;
const BACK_WITHIN_MS = 60_000;
const OTHERS = { connections: 4, perSecond: 20, durationMs: 1_000 } as const;

const Told = z.object({
  latenciesMs: z.array(z.number()),
  gaps: z.int(),
  isListening: z.int(),
});

export interface SocketRun {
  readonly count: number;
  /** How long trades are told before the server is killed, and again after that. */
  readonly tellingMs: number;
  /** What a connection weighs without an API around it. */
  readonly floor: string;
}

/** As many as are wanted, or as one process may open here; so many that users, clients and those of the warm-up have equal shares. */
export async function socketsAllowed(wanted: number): Promise<number> {
  const limits = await readFile("/proc/self/limits", "utf8");
  const files = Number(/^Max open files +\d+ +(\d+)/m.exec(limits)?.[1] ?? Infinity);
  const share = (PER_USER * CLIENTS) / WARM_UP_SHARE;
  return Math.floor(Math.min(wanted, files - OTHER_FILES) / share) * share;
}

/**
 * What a connection that listens costs the API's process, how soon owners hear of a trade, and how all of them come back when the
 * process dies while trades go on.
 * @throws Error when an event is lost or comes twice, and when not all are back in time
 */
export async function measureSockets(
  database: TestDatabase,
  directory: string,
  { count, tellingMs, floor }: SocketRun,
): Promise<readonly Figure[]> {
  await using stack = new AsyncDisposableStack();
  let server = await startServer(database, join(directory, "sockets.log"));
  stack.defer(() => server.stop());
  const journal = stack.adopt(await startJournal(database, directory), (open) => open.stop());
  const owners = await createBots(database, { users: count / PER_USER, perUser: 1 });
  const tokens = await Promise.all(owners.map(({ userId }) => accessToken(userId)));
  const listeners = stack.adopt(
    await startListeners({ port: server.api, tokens }, directory),
    (open) => open.stop(),
  );
  const me = requestBytes("GET /api/me", { authorization: `Bearer ${tokens[0] ?? ""}` });
  // V8's young generation grows with work: it must have its size before connections are weighed.
  await closedLoop({ port: server.api, next: () => me, connections: 32, durationMs: tellingMs });
  const each = await weigh({ weight: server.weight, open: listeners.open, count });
  const bots: BenchBot[] = [];
  // One after the other: the journal sends away whoever comes with hundreds at once.
  for (const row of owners.slice(0, TRADING)) bots.push(await openSession(journal.port, row));
  const tell = () => {
    const load = { port: journal.port, next: () => tradeOfAny(bots), connections: 8 };
    return openLoop({ ...load, perSecond: TRADES_PER_SECOND, durationMs: tellingMs });
  };
  const events = Math.floor((TRADES_PER_SECOND * tellingMs) / 1_000) * PER_USER;

  await tell();
  const { latenciesMs } = assertWhole(await untilHeard(listeners, events), { count, events });

  await server.stop();
  await tell();
  const again = join(directory, "sockets-again.log");
  server = await startServer({ ...database, apiPort: server.api }, again);
  const storm = await untilBack({ server, listeners, token: tokens[0] ?? "", count });
  const told = await untilHeard(listeners, events - storm.latenciesMs.length);
  assertWhole(
    { ...told, latenciesMs: [...storm.latenciesMs, ...told.latenciesMs] },
    { count, events },
  );
  return [
    weightFigure(each, { count, floor }),
    eventFigure(latenciesMs, count),
    ...stormFigures(storm, { count, tellingMs, events }),
  ];
}

type Told = z.infer<typeof Told>;

/** What the listeners have heard since they were last asked, once it is so many events, or no more of them come. */
async function untilHeard(listeners: Pick<Listeners, "told">, events: number): Promise<Told> {
  const endsMs = performance.now() + HEARD_WITHIN_MS;
  let heard = await listeners.told();
  while (heard.latenciesMs.length < events && performance.now() < endsMs) {
    await sleep(ASKED_EVERY_MS);
    heard = together(heard, await listeners.told());
  }
  await sleep(SETTLE_MS);
  return together(heard, await listeners.told());
}

/** Gaps and connections are told as they stand. */
function together(before: Told, now: Told): Told {
  return { ...now, latenciesMs: [...before.latenciesMs, ...now.latenciesMs] };
}

type Listeners = Awaited<ReturnType<typeof startListeners>>;

/** Everybody is there, and has heard all of it, each thing once and in its order. */
function assertWhole(
  told: Told,
  { count, events }: { readonly count: number; readonly events: number },
): Told {
  const { latenciesMs, gaps, isListening } = told;
  if (latenciesMs.length === events && gaps === 0 && isListening === count) return told;
  throw new Error(
    `${latenciesMs.length} of ${events} events, ${gaps} out of order, ${isListening} of ${count} connections`,
  );
}

/** Several processes that listen for one server. */
async function startListeners(
  settings: { readonly port: number; readonly tokens: readonly string[] },
  directory: string,
) {
  const programs = await Promise.all(
    Array.from({ length: CLIENTS }, (_, index) => {
      const log = join(directory, `listener-${settings.port}-${index}.log`);
      return startProgram("listener-program.ts", JSON.stringify(settings), log);
    }),
  );
  const ask = async (message: object): Promise<Told> => {
    const all = await Promise.all(programs.map(async (one) => Told.parse(await one.ask(message))));
    const sum = (of: (told: Told) => number) => all.reduce((total, told) => total + of(told), 0);
    return {
      latenciesMs: all.flatMap(({ latenciesMs }) => latenciesMs),
      gaps: sum(({ gaps }) => gaps),
      isListening: sum(({ isListening }) => isListening),
    };
  };
  return {
    open: (more: number) => ask({ open: more / CLIENTS }),
    told: () => ask({}),
    stop: async (): Promise<void> => {
      await Promise.all(programs.map((one) => one.stop()));
    },
  };
}

interface Weighed {
  readonly weight: () => Promise<Weight>;
  readonly open: (more: number) => Promise<unknown>;
  readonly count: number;
}

/** Bytes that each connection after the first ones adds to the process. */
async function weigh({ weight, open, count }: Weighed): Promise<Weight> {
  const first = count * WARM_UP_SHARE;
  await open(first);
  const before = await weight();
  await open(count - first);
  const after = await weight();
  const each = (of: (weight: Weight) => number) => (of(after) - of(before)) / (count - first);
  return {
    residentBytes: each(({ residentBytes }) => residentBytes),
    youngBytes: each(({ youngBytes }) => youngBytes),
    heldBytes: each(({ heldBytes }) => heldBytes),
  };
}

const kilobytes = (bytes: number) => (bytes / 1_024).toFixed(1);

/** Where the bytes of a connection are. */
function split({ youngBytes, heldBytes }: Weight): string {
  return `of it ${kilobytes(youngBytes)} growth of V8's young generation, which is no connection's, and ${kilobytes(heldBytes)} held in its heap`;
}

function weighed(weight: Weight): string {
  return `${kilobytes(weight.residentBytes)} (${split(weight)})`;
}

/** What a connection weighs that nobody speaks through: bare after its handshake, and with a library's receiver and sender. */
export async function weighBareSockets(directory: string): Promise<string> {
  const bare = await weighBare("bare", directory, BARE_COUNT);
  const library = await weighBare("library", directory, BARE_COUNT);
  return `without an API a bare connection after its handshake ${weighed(bare)}, a library's (ws) ${weighed(library)}, ${BARE_COUNT} of each`;
}

async function weighBare(
  kind: "bare" | "library",
  directory: string,
  count: number,
): Promise<Weight> {
  await using stack = new AsyncDisposableStack();
  const log = join(directory, `${kind}.log`);
  const program = await startProgram("bare-sockets-program.ts", JSON.stringify({ kind }), log);
  stack.defer(() => program.stop());
  const { port } = z.object({ port: z.int() }).parse(program.told);
  const listeners = await startListeners({ port, tokens: ["nobody's"] }, directory);
  stack.defer(() => listeners.stop());
  return await weigh({ weight: () => weightOf(program), open: listeners.open, count });
}

interface Return {
  readonly server: Awaited<ReturnType<typeof startServer>>;
  readonly listeners: Listeners;
  readonly token: string;
  readonly count: number;
}

interface Storm {
  readonly backMs: number;
  /** Of a route that has nothing to do with it. */
  readonly othersMs: readonly number[];
  /** Of those, told to come back. */
  readonly sentAway: number;
  readonly latenciesMs: readonly number[];
}

/** From the moment that the server answers again until the last listener is back, while others ask for something else. */
async function untilBack({ server, listeners, token, count }: Return): Promise<Storm> {
  const startedMs = performance.now();
  const request = requestBytes("GET /api/me", { authorization: `Bearer ${token}` });
  const othersMs: number[] = [];
  const latenciesMs: number[] = [];
  let sentAway = 0;
  const heard = ({ status }: Answer) => void (sentAway += status === 200 ? 0 : 1);
  const load = { ...OTHERS, port: server.api, next: () => request, alsoFine: [503], heard };
  for (;;) {
    const others = await openLoop(load);
    othersMs.push(...others.latenciesMs);
    const told = await listeners.told();
    latenciesMs.push(...told.latenciesMs);
    const backMs = performance.now() - startedMs;
    if (told.isListening === count) return { backMs, othersMs, sentAway, latenciesMs };
    if (backMs > BACK_WITHIN_MS) throw new Error(`${told.isListening} of ${count} are back`);
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

function weightFigure(each: Weight, { count, floor }: Pick<SocketRun, "count" | "floor">): Figure {
  const warmUp = count * WARM_UP_SHARE;
  return {
    key: "socket_kb",
    value: each.residentBytes / 1_024,
    aim: { most: 8 },
    baseline: floor,
    how: `resident memory of the API's process after a collection, added by each of ${count - warmUp} WebSockets after the first ${warmUp} (as many as one process may open files here, at most 20,000); of ${count / PER_USER} users; ${split(each)}`,
  };
}

function eventFigure(latenciesMs: readonly number[], count: number): Figure {
  return {
    key: "event_ms_p99",
    value: percentile(latenciesMs, 0.99),
    aim: { most: 1_000 },
    baseline: `its own median ${percentile(latenciesMs, 0.5).toFixed(0)}`,
    how: `${spread(latenciesMs)}; from a bot's word to the journal until the owner's socket has it; ${TRADES_PER_SECOND} trades/s, ${PER_USER} sockets each, ${count} open; journal, Postgres, API and listeners on the same two cores`,
  };
}

function stormFigures(
  { backMs, othersMs, sentAway }: Storm,
  run: Omit<SocketRun, "floor"> & { readonly events: number },
) {
  const how = `the API's process killed under ${run.count} WebSockets and started again after ${run.tellingMs / 1_000} s of trades; each comes back within 2 s of its last attempt and names its last id: ${run.events} events of ${run.events}, in order`;
  return [
    {
      key: "reconnect_storm_s",
      value: backMs / 1_000,
      aim: { most: 60 },
      baseline: "a client that is cut off waits for up to 2 s before it comes back",
      how,
    },
    {
      key: "reconnect_other_ms_p99",
      value: percentile(othersMs, 0.99),
      aim: { most: 1_000 },
      baseline: `its own median ${percentile(othersMs, 0.5).toFixed(1)}`,
      how: `${spread(othersMs)}; GET /api/me, ${OTHERS.perSecond} a second until all were back, ${sentAway} of them told to come back (503); ${how}`,
    },
  ] satisfies readonly Figure[];
}
