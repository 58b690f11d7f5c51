import { randomUUID } from "node:crypto";
import type { Figure } from "../figure.ts";
import { cpuSeconds } from "../operator/process-costs.ts";
import { median, percentile, spread } from "../statistics.ts";
import { anyLogin } from "./login-storm.ts";
import { closedLoop, openLoop, requestBytes } from "./http-load.ts";
import { accessToken, type startServer } from "./server-process.ts";

type Server = Awaited<ReturnType<typeof startServer>>;

const CONNECTIONS = 32;
const WARM_UP_MS = 2_000;
const TURN_MS = 2_000;
const ROUNDS = 7;
/** More than the worker takes at once and less than its queue holds: nobody is sent away, and it never rests. */
const LOGINS_AT_ONCE = 16;
const PACED_PER_SECOND = 200;
const PACED_MS = 20_000;
/** People whose tokens a process knows, who ask in turns. */
const KNOWN_TOKENS = 1_000;
/** So many a second ask for the first time. */
const NEWCOMERS_PER_SECOND = 20;

const PATH = "/orders/bot-abcdefghij0123456789?limit=20";

/** What a request of the API costs beside a bare server, and what asking for a token adds while people log in. */
export async function measureRequests(server: Server): Promise<readonly Figure[]> {
  const tokens = await newTokens(KNOWN_TOKENS);
  // The same bytes to all three, so that only what is done with them differs.
  const contenders = {
    bare: { port: server.bare, next: inTurns(PATH, tokens) },
    open: { port: server.routes, next: inTurns(`/open${PATH}`, tokens) },
    secured: { port: server.routes, next: inTurns(`/secured${PATH}`, tokens) },
  };
  return [
    ...(await measureRatios(server.pid, contenders)),
    ...(await measureOverhead(server, contenders)),
  ];
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
type Samples = Record<"bare" | "open" | "secured", number[]>;
type Contenders = Readonly<Record<"bare" | "open" | "secured", Contender>>;

/** In turns, so that a noisy moment of the machine strikes all alike. */
async function measureRatios(pid: number, contenders: Contenders): Promise<readonly Figure[]> {
  const load = { connections: CONNECTIONS, durationMs: TURN_MS };
  for (const contender of Object.values(contenders))
    await closedLoop({ ...load, ...contender, durationMs: WARM_UP_MS });
  const rates: Samples = { bare: [], open: [], secured: [] };
  const costs: Samples = { bare: [], open: [], secured: [] };
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const name of ["bare", "open", "secured"] as const) {
      const before = await cpuSeconds(pid);
      const { perSecond, latenciesMs } = await closedLoop({ ...load, ...contenders[name] });
      rates[name].push(perSecond);
      costs[name].push((((await cpuSeconds(pid)) - before) * 1e6) / latenciesMs.length);
    }
  }
  // By the server's own time on a core: the generator shares the machine, and beside a bare server it would be what is measured.
  const cost = {
    bare: median(costs.bare),
    open: median(costs.open),
    secured: median(costs.secured),
  };
  const told = (name: keyof Contenders) =>
    `${median(rates[name]).toFixed(0)}/s, ${cost[name].toFixed(1)} µs of a core each`;
  const how = `with one of ${KNOWN_TOKENS} tokens that the process knows, in turns, validated in and out, logged: ${told("secured")}; ${ROUNDS} × ${TURN_MS / 1_000} s in turns, ${CONNECTIONS} connections, medians; ratio of core time per request`;
  return [
    {
      key: "ratio_to_http",
      value: cost.bare / cost.secured,
      aim: { least: 0.5 },
      baseline: `bare node:http that reads the headers and answers the same body: ${told("bare")}`,
      how,
    },
    {
      key: "ratio_to_no_auth",
      value: cost.open / cost.secured,
      aim: { least: 0.9 },
      baseline: `the same route that does not look at the token: ${told("open")}`,
      how,
    },
    {
      key: "requests_per_s",
      value: median(rates.secured),
      baseline: `bare ${median(rates.bare).toFixed(0)}, without a token ${median(rates.open).toFixed(0)}`,
      how: "one process; the load generator is another on the same two cores",
    },
    {
      key: "rate_ratio_to_http",
      value: median(rates.secured) / median(rates.bare),
      baseline: `bare ${median(rates.bare).toFixed(0)}/s`,
      how: "of requests a second in the same run: beside a bare server the load generator is the slower one",
    },
    {
      key: "rate_ratio_to_no_auth",
      value: median(rates.secured) / median(rates.open),
      baseline: `without looking at the token ${median(rates.open).toFixed(0)}/s`,
      how: "of requests a second in the same run",
    },
  ];
}

async function measureOverhead(
  server: Server,
  { open, secured }: Contenders,
): Promise<readonly Figure[]> {
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
