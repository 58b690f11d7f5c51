import type { ProxiedRequest } from "../fault-proxy.ts";

/**
 * Parts of a trade, in order. A step of the order path is the first request of its kind in one of them, and each change that
 * follows it there: how often the same is read or told is up to the bot's timers.
 * `start`: until the bot may trade · `enter`: a signal, up to the entry's request, of each symbol · `entered`: the order stands ·
 * `partly`: a part of it is filled · `cancel`: somebody has asked for the rest to be cancelled, up to that request · `cancelled` ·
 * `filled`: all of it is filled, up to the stop at its final level · `hold` · `exit`: what ends the position has happened, up to the
 * exit's request · `exited` · `end`: the pod is being stopped.
 */
export const PHASES = [
  "start",
  "enter",
  "entered",
  "partly",
  "cancel",
  "cancelled",
  "filled",
  "hold",
  "exit",
  "exited",
  "end",
] as const;
export type Phase = (typeof PHASES)[number];

/** What a request can do: `read` changes nothing, `change` is taken by the exchange, `append` by the journal. */
export type RequestKind = "read" | "change" | "append";

export interface Step {
  readonly phase: Phase;
  /** Short name of the request, such as "order-create-entry", or "order-create-exit-2": the second one of its phase. */
  readonly request: string;
  readonly kind: RequestKind;
  /** The facts in a batch of records: which of them travel together is chance, so a crash waits for the one that it is about. */
  readonly facts: readonly string[];
}

/** What a crash waits for. */
export type StepName = Pick<Step, "phase" | "request">;

/** Requests of a timer come in any phase: each is a step of those in which the order path itself brings it. */
const TIMED: Readonly<Record<string, readonly Phase[]>> = {
  "account-wallet-balance": ["start", "enter"],
  "market-time": ["start"],
  "market-kline": ["start"],
  "journal-lease": ["start", "hold"],
  "journal-session": ["start"],
  "journal-records": ["start", "end"],
};

/** Records by the weightiest fact among them; a batch without any is `journal-records`. */
const FACTS = [
  [/"type":"request"/, "journal-records-request"],
  [/"closedAt":"/, "journal-records-closed"],
  [/"type":"fill"/, "journal-records-fill"],
  [/"type":"order"/, "journal-records-order"],
] as const;

const SECOND = "second-";

/** The step's request as a name, and what it can do. One about a bot's second symbol has a name of its own. */
export function nameRequest(request: ProxiedRequest): Omit<Step, "phase"> {
  const facts = FACTS.flatMap(([pattern, fact]) => (pattern.test(request.body) ? [fact] : []));
  const isOfRecords = new URL(request.path, "http://any").pathname === "/v1/records";
  return { ...nameOf(request), facts: isOfRecords ? facts : [] };
}

function nameOf(request: ProxiedRequest): Pick<Step, "request" | "kind"> {
  const named = nameWithoutSymbol(request);
  const isSecond = /[?&]symbol=ETHUSDT|"symbol":"ETH(USDT|\/USDT:USDT)"/.test(
    request.path + request.body,
  );
  const isOfOne = isSecond && !named.request.startsWith("journal-records");
  return isOfOne ? { ...named, request: `${SECOND}${named.request}` } : named;
}

function nameWithoutSymbol({ method, path, body }: ProxiedRequest): Pick<Step, "request" | "kind"> {
  const { pathname } = new URL(path, "http://any");
  const [, version, ...parts] = pathname.split("/");
  const name = parts.join("-");
  if (version === "v1") {
    const fact =
      name === "records" ? FACTS.find(([pattern]) => pattern.test(body))?.[1] : undefined;
    return { request: fact ?? `journal-${name}`, kind: "append" };
  }
  // For the price alone; a series is asked for by hundreds.
  if (/[?&]limit=1(&|$)/.test(path) && name === "market-kline")
    return { request: "market-kline-last", kind: "read" };
  if (method === "GET") return { request: name, kind: "read" };
  if (name !== "order-create") return { request: name, kind: "change" };
  const leg = body.includes('"reduceOnly":true') ? "exit" : "entry";
  return { request: `order-create-${leg}`, kind: "change" };
}

/** The step of the n-th request of its kind in its phase. */
export function nthStep(step: Step, nth: number): Step {
  return step.kind === "change" && nth > 1 ? { ...step, request: `${step.request}-${nth}` } : step;
}

/** Whether a request seen in a phase belongs to the order path there, or came by a timer. */
export function isOnPath({ phase, request }: StepName): boolean {
  return TIMED[request.replace(SECOND, "")]?.includes(phase) ?? true;
}

/** Steps, `scenario.phase.request`, that not every clean run comes to, and why. They are not struck. */
const BY_CHANCE = [
  {
    // Where stop and target end the position it is asked for on the path, and struck.
    steps: /^(stop\.hold|(?!stop\.|target\.)[a-z-]+\.exit)\.(second-)?order-realtime$/,
    why: "every symbol's open orders are looked for every 30 s (foreign-holdings.ts)",
  },
] as const;

/** Why only some clean runs come to a step; undefined when nobody knows. */
export function whyByChance(scenario: string, { phase, request }: StepName): string | undefined {
  const name = `${scenario}.${phase}.${request}`;
  return BY_CHANCE.find(({ steps }) => steps.test(name))?.why;
}

/**
 * Whether a step is the one that a crash waits for. Records leave when those before them have arrived: a fact may come a phase
 * late, and with others.
 */
export function isStruck(wanted: StepName, { phase, request, facts }: Step): boolean {
  if (facts.includes(wanted.request)) return PHASES.indexOf(phase) >= PHASES.indexOf(wanted.phase);
  return request === wanted.request && phase === wanted.phase;
}
