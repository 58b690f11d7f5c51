import { randomUUID } from "node:crypto";
import type { Figure } from "../figure.ts";
import { cpuSeconds } from "../operator/process-costs.ts";
import { median, percentile, spread } from "../statistics.ts";
import { anyLogin } from "./login-storm.ts";
import { closedLoop, openLoop, requestBytes } from "./http-load.ts";
import { accessToken, type startServer } from "./server-process.ts";

type Server = Awaited<ReturnType<typeof startServer>>;

const CONNECTIONS = 32;
const WARM_UP_MS = 500;
const WARM_UPS = 2;
const TURN_MS = 700;
const ROUNDS = 4;
/** What compilation and the memory's layout make of one process moves its ratio by 0.05. An odd number, so that one is the median. */
const PROCESSES = 9;
/** More than the worker takes at once and less than its queue holds: nobody is sent away, and it never rests. */
const LOGINS_AT_ONCE = 16;
const PACED_PER_SECOND = 200;
const PACED_MS = 20_000;
/** People whose tokens a process knows, who ask in turns. */
const KNOWN_TOKENS = 1_000;
/** So many a second ask for the first time. */
const NEWCOMERS_PER_SECOND = 20;

const PATH = "/orders/bot-abcdefghij0123456789?limit=20";

const NAMES = ["bare", "open", "secured"] as const;
type Name = (typeof NAMES)[number];

/** What each of its requests took of a core, and how many a second there were. */
interface Cost {
  readonly us: number;
  readonly perSecond: number;
}
type Costs = Readonly<Record<Name, Cost>>;

/**
 * What a request of the API costs beside a bare server and beside the same route without a look at the token. Judged is the median of
 * several processes; each second one makes, warms and asks the two routes the other way round, because which one is first matters.
 */
export async function measureRatios(
  start: (first: "open" | "secured") => Promise<Server>,
): Promise<readonly Figure[]> {
  const openFirst: Costs[] = [];
  const securedFirst: Costs[] = [];
  for (let process = 0; process < PROCESSES; process += 1) {
    const isOpenFirst = process % 2 === 0;
    const server = await start(isOpenFirst ? "open" : "secured");
    try {
      const order = isOpenFirst ? NAMES : NAMES.toReversed();
      (isOpenFirst ? openFirst : securedFirst).push(await costsOf(server, order));
    } finally {
      await server.stop();
    }
  }
  return ratioFigures({ openFirst, securedFirst });
}

/** In turns, so that a noisy moment of the machine strikes all alike. */
async function costsOf(server: Server, order: readonly Name[]): Promise<Costs> {
  const contenders = await contendersOf(server);
  for (let round = 0; round < WARM_UPS; round += 1)
    for (const name of order) await turnOf(server, contenders[name], WARM_UP_MS);
  const turns: Record<Name, Turn[]> = { bare: [], open: [], secured: [] };
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const name of round % 2 === 0 ? order : order.toReversed())
      turns[name].push(await turnOf(server, contenders[name], TURN_MS));
  }
  return {
    bare: costOf(turns.bare),
    open: costOf(turns.open),
    secured: costOf(turns.secured),
  };
}

interface Turn {
  readonly seconds: number;
  readonly coreSeconds: number;
  readonly count: number;
}

async function turnOf({ pid }: Server, contender: Contender, durationMs: number): Promise<Turn> {
  const before = await cpuSeconds(pid);
  const load = { ...contender, connections: CONNECTIONS, durationMs };
  const { perSecond, latenciesMs } = await closedLoop(load);
  const coreSeconds = (await cpuSeconds(pid)) - before;
  const count = latenciesMs.length;
  return { seconds: count / perSecond, coreSeconds, count };
}

function costOf(turns: readonly Turn[]): Cost {
  const total = (of: keyof Turn) => turns.reduce((sum, turn) => sum + turn[of], 0);
  return {
    us: (total("coreSeconds") * 1e6) / total("count"),
    perSecond: total("count") / total("seconds"),
  };
}

async function contendersOf(server: Server): Promise<Contenders> {
  const tokens = await newTokens(KNOWN_TOKENS);
  // The same bytes to all three, so that only what is done with them differs.
  return {
    bare: { port: server.bare, next: inTurns(PATH, tokens) },
    open: { port: server.routes, next: inTurns(`/open${PATH}`, tokens) },
    secured: { port: server.routes, next: inTurns(`/secured${PATH}`, tokens) },
  };
}

function newTokens(count: number): Promise<readonly string[]> {
  return Promise.all(Array.from({ length: count }, () => accessToken(randomUUID())));
}

/** A request with each token, and then again from the first one on. */
function inTurns(path: string, tokens: readonly string[]): () => string {
  const requests = tokens.map((token) =>
    requestBytes(`GET ${path}`, { authorization: `Bearer ${token}` }),
  );
  let sent = 0;
  return () => requests[sent++ % requests.length] ?? "";
}

interface Contender {
  readonly port: number;
  readonly next: () => string;
}
type Contenders = Readonly<Record<Name, Contender>>;

interface Measured {
  readonly openFirst: readonly Costs[];
  readonly securedFirst: readonly Costs[];
}

type Ratio = (costs: Costs) => number;

/** By the server's own time on a core: the generator shares the machine, and beside a bare server it would be what is measured. */
function costRatio(of: Exclude<Name, "secured">): Ratio {
  return (costs) => costs[of].us / costs.secured.us;
}

function rateRatio(of: Exclude<Name, "secured">): Ratio {
  return (costs) => costs.secured.perSecond / costs[of].perSecond;
}

function spreadOf(ratio: Ratio, { openFirst, securedFirst }: Measured): string {
  const sorted = [...openFirst, ...securedFirst].map(ratio).toSorted((a, b) => a - b);
  const medianOf = (measured: readonly Costs[]) => median(measured.map(ratio)).toFixed(3);
  return `median of ${sorted.length} processes: ${sorted.map((each) => each.toFixed(3)).join(" ")}; with the open route first ${medianOf(openFirst)}, with the other first ${medianOf(securedFirst)}`;
}

function ratioFigures(measured: Measured): readonly Figure[] {
  const all = [...measured.openFirst, ...measured.securedFirst];
  const told = (name: Name) =>
    `${median(all.map((costs) => costs[name].perSecond)).toFixed(0)}/s, ${median(all.map((costs) => costs[name].us)).toFixed(1)} µs of a core each`;
  const how = `with one of ${KNOWN_TOKENS} tokens that the process knows, in turns, validated in and out, logged: ${told("secured")}; each process ${ROUNDS} × ${TURN_MS / 1_000} s in turns, ${CONNECTIONS} connections; ratio of core time per request`;
  return [
    {
      key: "ratio_to_http",
      value: median(all.map(costRatio("bare"))),
      aim: { least: 0.5 },
      baseline: `bare node:http that reads the headers and answers the same body: ${told("bare")}`,
      how: `${spreadOf(costRatio("bare"), measured)}; ${how}`,
    },
    {
      key: "ratio_to_no_auth",
      value: median(all.map(costRatio("open"))),
      aim: { least: 0.9 },
      baseline: `the same route that does not look at the token: ${told("open")}`,
      how: `${spreadOf(costRatio("open"), measured)}; ${how}`,
    },
    {
      key: "requests_per_s",
      value: median(all.map(({ secured }) => secured.perSecond)),
      baseline: `bare ${told("bare")}, without a token ${told("open")}`,
      how: "one process; the load generator is another on the same two cores",
    },
    {
      key: "rate_ratio_to_http",
      value: median(all.map(rateRatio("bare"))),
      baseline: `bare ${told("bare")}`,
      how: `of requests a second in the same run: beside a bare server the load generator is the slower one; ${spreadOf(rateRatio("bare"), measured)}`,
    },
    {
      key: "rate_ratio_to_no_auth",
      value: median(all.map(rateRatio("open"))),
      baseline: `without looking at the token ${told("open")}`,
      how: `of requests a second in the same run; ${spreadOf(rateRatio("open"), measured)}`,
    },
  ];
}

/** What asking for a token adds while people log in. */
export async function measureOverhead(server: Server): Promise<readonly Figure[]> {
  const { open, secured } = await contendersOf(server);
  for (const contender of [open, secured])
    await closedLoop({ connections: CONNECTIONS, durationMs: WARM_UPS * WARM_UP_MS, ...contender });
  const logins = { port: server.api, next: anyLogin, alsoFine: [401] };
  const paced = { connections: 4, perSecond: PACED_PER_SECOND, durationMs: PACED_MS };
  const newcomers = await newTokens((NEWCOMERS_PER_SECOND * PACED_MS) / 1_000);
  const first = {
    ...paced,
    port: secured.port,
    next: inTurns(`/secured${PATH}`, newcomers),
    perSecond: NEWCOMERS_PER_SECOND,
  };
  // All at once: each second of the machine's noise is in all of them.
  const [without, withToken, withNewToken, judged] = await Promise.all([
    openLoop({ ...paced, ...open }),
    openLoop({ ...paced, ...secured }),
    openLoop(first),
    closedLoop({ ...logins, connections: LOGINS_AT_ONCE, durationMs: PACED_MS }),
  ]);
  const overhead = (share: number, { latenciesMs } = withToken) =>
    percentile(latenciesMs, share) - percentile(without.latenciesMs, share);
  const seconds = PACED_MS / 1_000;
  const storm = `for ${seconds} s, while ${LOGINS_AT_ONCE} people at a time log in (${judged.perSecond.toFixed(1)} log-ins/s, bcrypt cost 12)`;
  const how = `with one of ${KNOWN_TOKENS} known tokens: ${spread(withToken.latenciesMs)}; ${PACED_PER_SECOND} requests/s of each at once ${storm}`;
  const baseline = `the same route without a token: ${spread(without.latenciesMs)}`;
  return [
    { key: "auth_overhead_ms_p50", value: overhead(0.5), aim: { most: 0.2 }, baseline, how },
    { key: "auth_overhead_ms_p99", value: overhead(0.99), aim: { most: 5 }, baseline, how },
    {
      key: "auth_first_ms_p50",
      value: overhead(0.5, withNewToken),
      baseline,
      how: `a token's first request at a process, whose signature is checked: ${spread(withNewToken.latenciesMs)}; ${NEWCOMERS_PER_SECOND} requests/s beside the others ${storm}`,
    },
  ];
}
