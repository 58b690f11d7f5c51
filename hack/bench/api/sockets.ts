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
import { allOf, type Listeners, startListeners, type Told, together } from "./listeners.ts";
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
/** Of one process of the API, and of the one that listens to it: a process may often open 20,000 files, an address has 28,000 ports. */
const SOCKETS_PER_REPLICA = 18_000;
/** On one machine, each with some 100 MB of its own. */
const REPLICAS_MAX = 8;
/** Processes of the API die together as long as not more than these have to come back. */
const STORM = 20_000;
/** Of those that are weighed: they bring code, pools and arenas, which are there once. */
const WARM_UP_SHARE = 0.25;
const BARE_COUNT = 4_000;
/** Files of a server that are no listener's, with room. */
const OTHER_FILES = 1_000;
const BACK_WITHIN_MS = 60_000;
const OTHERS = { connections: 4, perSecond: 20, durationMs: 1_000 } as const;

export interface SocketRun {
  readonly replicas: number;
  /** Sockets of each. */
  readonly each: number;
  /** How long trades are told before the server is killed, and again after that. */
  readonly tellingMs: number;
  /** What a connection weighs without an API around it. */
  readonly floor: string;
}

/** Enough processes for as many as are wanted; so many each that users and those of the warm-up have equal shares. */
export async function shareSockets(wanted: number): Promise<Pick<SocketRun, "replicas" | "each">> {
  const limits = await readFile("/proc/self/limits", "utf8");
  const files = Number(/^Max open files +\d+ +(\d+)/m.exec(limits)?.[1] ?? Infinity);
  const most = Math.min(SOCKETS_PER_REPLICA, files - OTHER_FILES);
  const replicas = Math.min(Math.ceil(wanted / most), REPLICAS_MAX);
  const share = PER_USER / WARM_UP_SHARE;
  return { replicas, each: Math.ceil(Math.min(wanted / replicas, most) / share) * share };
}

/**
 * What a connection that listens costs a process of the API, how soon owners hear of a trade, and how all of them come back when
 * processes die while trades go on.
 * @throws Error when an event is lost or comes twice, and when not all are back in time
 */
export async function measureSockets(
  database: TestDatabase,
  directory: string,
  run: SocketRun,
): Promise<readonly Figure[]> {
  await using stack = new AsyncDisposableStack();
  const count = run.replicas * run.each;
  const journal = stack.adopt(await startJournal(database, directory), (open) => open.stop());
  const owners = await createBots(database, { users: count / PER_USER, perUser: 1 });
  const tokens = await Promise.all(owners.map(({ userId }) => accessToken(userId)));
  const replicas: Replica[] = [];
  stack.defer(async () => void (await Promise.all(replicas.map(stopReplica))));
  for (let index = 0; index < run.replicas; index += 1)
    replicas.push(await startReplica({ database, directory, tokens }, { index, of: run.replicas }));
  const listeners = allOf(replicas.map((replica) => replica.listeners));
  const me = requestBytes("GET /api/me", { authorization: `Bearer ${tokens[0] ?? ""}` });
  // V8's young generation grows with work: it must have its size before connections are weighed.
  const work = { next: () => me, connections: 32, durationMs: run.tellingMs };
  await Promise.all(replicas.map(({ server }) => closedLoop({ ...work, port: server.api })));
  const weight = async () =>
    sumOf(await Promise.all(replicas.map(({ server }) => server.weight())));
  const each = await weigh({ weight, open: listeners.open, count });
  const bots: BenchBot[] = [];
  // One after the other: the journal sends away whoever comes with hundreds at once.
  for (const row of owners.slice(0, TRADING)) bots.push(await openSession(journal.port, row));
  const tell = () => {
    const load = { port: journal.port, next: () => tradeOfAny(bots), connections: 8 };
    return openLoop({ ...load, perSecond: TRADES_PER_SECOND, durationMs: run.tellingMs });
  };
  const events = Math.floor((TRADES_PER_SECOND * run.tellingMs) / 1_000) * PER_USER;

  await tell();
  const { latenciesMs } = assertWhole(await untilHeard(listeners, events), { count, events });

  const dying = replicas.slice(0, Math.max(1, Math.floor(STORM / run.each)));
  await Promise.all(dying.map(({ server }) => server.stop()));
  await tell();
  for (const replica of dying) {
    const { api: apiPort } = replica.server;
    const again = join(directory, `sockets-again-${apiPort}.log`);
    replica.server = await startServer({ ...database, apiPort }, again);
  }
  const port = dying[0]?.server.api ?? 0;
  const storm = await untilBack({ port, listeners, token: tokens[0] ?? "", count });
  const told = await untilHeard(listeners, events - storm.latenciesMs.length);
  assertWhole(
    { ...told, latenciesMs: [...storm.latenciesMs, ...told.latenciesMs] },
    { count, events },
  );
  return [
    weightFigure(each, run),
    eventFigure(latenciesMs, run),
    ...stormFigures(storm, { ...run, killed: dying.length, events }),
  ];
}

interface Replica {
  server: Awaited<ReturnType<typeof startServer>>;
  readonly listeners: Listeners;
}

interface World {
  readonly database: TestDatabase;
  readonly directory: string;
  readonly tokens: readonly string[];
}

/** A process of the API, and one that listens to it for its own share of the users, from an address of its own. */
async function startReplica(
  { database, directory, tokens }: World,
  { index, of }: { readonly index: number; readonly of: number },
): Promise<Replica> {
  const server = await startServer(database, join(directory, `sockets-${index}.log`));
  const own = tokens.filter((_, user) => user % of === index);
  const settings = { port: server.api, address: `127.0.0.${index + 2}`, tokens: own };
  return { server, listeners: await startListeners(settings, directory) };
}

async function stopReplica({ server, listeners }: Replica): Promise<void> {
  await Promise.all([server.stop(), listeners.stop()]);
}

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
  return weightBy(each);
}

function sumOf(weights: readonly Weight[]): Weight {
  return weightBy((of) => weights.reduce((sum, weight) => sum + of(weight), 0));
}

function weightBy(value: (of: (weight: Weight) => number) => number): Weight {
  return {
    residentBytes: value(({ residentBytes }) => residentBytes),
    youngBytes: value(({ youngBytes }) => youngBytes),
    heldBytes: value(({ heldBytes }) => heldBytes),
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
  const settings = { port, address: "127.0.0.2", tokens: ["nobody's"] };
  const listeners = await startListeners(settings, directory);
  stack.defer(() => listeners.stop());
  return await weigh({ weight: () => weightOf(program), open: listeners.open, count });
}

interface Return {
  readonly port: number;
  readonly listeners: Pick<Listeners, "told">;
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
async function untilBack({ port, listeners, token, count }: Return): Promise<Storm> {
  const startedMs = performance.now();
  const request = requestBytes("GET /api/me", { authorization: `Bearer ${token}` });
  const othersMs: number[] = [];
  const latenciesMs: number[] = [];
  let sentAway = 0;
  const heard = ({ status }: Answer) => void (sentAway += status === 200 ? 0 : 1);
  const load = { ...OTHERS, port, next: () => request, alsoFine: [503], heard };
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

function weightFigure(weight: Weight, { replicas, each, floor }: SocketRun): Figure {
  const count = replicas * each;
  const warmUp = count * WARM_UP_SHARE;
  return {
    key: "socket_kb",
    value: weight.residentBytes / 1_024,
    aim: { most: 8 },
    baseline: floor,
    how: `resident memory of the API after a collection, added by each of ${count - warmUp} WebSockets after the first ${warmUp}, in ${replicas} processes; of ${count / PER_USER} users; ${split(weight)}`,
  };
}

function eventFigure(latenciesMs: readonly number[], { replicas, each }: SocketRun): Figure {
  return {
    key: "event_ms_p99",
    value: percentile(latenciesMs, 0.99),
    aim: { most: 1_000 },
    baseline: `its own median ${percentile(latenciesMs, 0.5).toFixed(0)}`,
    how: `${spread(latenciesMs)}; from a bot's word to the journal until the owner's socket has it; ${TRADES_PER_SECOND} trades/s, ${PER_USER} sockets each, ${replicas * each} open at ${replicas} processes of the API; journal, Postgres, API and listeners on the same two cores`,
  };
}

function stormFigures(
  { backMs, othersMs, sentAway }: Storm,
  run: Omit<SocketRun, "floor"> & { readonly killed: number; readonly events: number },
) {
  const how = `${run.killed} of ${run.replicas} processes of the API killed under ${run.each} WebSockets each and started again after ${run.tellingMs / 1_000} s of trades; each comes back within 10 s of its last attempt and names its last id: ${run.events} events of ${run.events}, in order`;
  return [
    {
      key: "reconnect_storm_s",
      value: backMs / 1_000,
      aim: { most: 30 },
      baseline: "a client that is cut off waits for up to 10 s before it comes back",
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
