import { z } from "zod";
import type { Random } from "./random.ts";

const MAX_RULES = 100;
const MAX_MS = 24 * 3_600_000;

const Milliseconds = z.int().min(0).max(MAX_MS);
/** Before the exchange took the request (nothing happened), or after (it happened, and only the answer is spoilt). */
const When = z.enum(["before", "after"]);
/** How long look-ups do not show the order that the request made: server time, ms. */
const hideMs = Milliseconds.optional();

const Fault = z.discriminatedUnion("kind", [
  /** No answer, ever; the connection stays. */
  z.strictObject({ kind: z.literal("hang"), when: When, hideMs }),
  /** The connection is reset. For a stream: the socket is. */
  z.strictObject({ kind: z.literal("reset"), when: When.default("before"), hideMs }),
  /** The connection ends in the middle of the answer to an accepted request. */
  z.strictObject({ kind: z.literal("truncate"), hideMs }),
  /** The headers and half of the answer to an accepted request, and then nothing; the connection stays. */
  z.strictObject({ kind: z.literal("stall"), hideMs }),
  /** HTTP 200 without a body. */
  z.strictObject({ kind: z.literal("empty"), when: When, hideMs }),
  /** Another retCode than the true one. */
  z.strictObject({
    kind: z.literal("retCode"),
    retCode: z.int().min(1),
    retMsg: z.string().max(500).optional(),
    when: When,
    hideMs,
  }),
  /** An HTTP status of Bybit's gateway and no envelope: 403 is its ban of an address, 429, 5xx. */
  z.strictObject({
    kind: z.literal("http"),
    status: z.int().min(400).max(599),
    when: When,
    hideMs,
  }),
  /** The request arrives late (before), or the answer does (after); or a stream's message, and what follows on its socket behind it. */
  z.strictObject({
    kind: z.literal("delay"),
    ms: Milliseconds,
    when: When.default("after"),
    hideMs,
  }),
  /** The request arrives twice; the caller reads the second answer. */
  z.strictObject({ kind: z.literal("twice") }),
  /** Nothing but hideMs: accepted and answered, and look-ups do not show it yet. */
  z.strictObject({ kind: z.literal("hide"), hideMs: Milliseconds }),
  /** Streams: the socket lives and answers pings, its messages do not come. */
  z.strictObject({ kind: z.literal("silence") }),
  /** Streams: the message comes twice. */
  z.strictObject({ kind: z.literal("duplicate") }),
  /** Streams: the message comes after the next one of its socket. */
  z.strictObject({ kind: z.literal("reorder") }),
]);
export type Fault = z.infer<typeof Fault>;

const streamsAlone: readonly Fault["kind"][] = ["silence", "duplicate", "reorder"];
const streamKinds: readonly Fault["kind"][] = [...streamsAlone, "delay", "reset"];
const requestKinds: readonly Fault["kind"][] = Fault.options
  .map(({ shape }) => shape.kind.value)
  .filter((kind) => !streamsAlone.includes(kind));

const Rule = z
  .strictObject({
    /** Everything that is given has to agree. `endpoint` and `topic` may end in "*". */
    match: z.strictObject({
      /** Such as "POST /v5/order/create". */
      endpoint: z.string().max(100).optional(),
      side: z.enum(["Buy", "Sell"]).optional(),
      reduceOnly: z.boolean().optional(),
      apiKey: z.string().max(100).optional(),
      stream: z.enum(["public", "private"]).optional(),
      /** Of a stream's message, such as "order" or "kline.1.BTCUSDT". */
      topic: z.string().max(100).optional(),
    }),
    fault: Fault,
    /** Matching requests or messages that pass before the first fault. */
    after: z.int().min(0).default(0),
    /** Faults until the rule is spent; null: it never is. */
    times: z.int().min(1).nullable().default(1),
    /** Share of the matching ones that are hit, drawn from the simulator's seed. */
    share: z.number().gt(0).max(1).default(1),
  })
  .refine(
    ({ match, fault }) =>
      (match.stream === undefined ? requestKinds : streamKinds).includes(fault.kind),
    "this kind of fault does not fit: streams know silence, duplicate, reorder, delay and reset",
  );
export type FaultRule = z.input<typeof Rule>;
type ParsedRule = z.output<typeof Rule>;

export const FaultRules = z.object({ rules: z.array(Rule).max(MAX_RULES) });

/** What rules are compared with. */
interface Occasion {
  readonly endpoint?: string;
  readonly side?: unknown;
  readonly reduceOnly?: boolean;
  readonly apiKey?: string;
  readonly stream?: "public" | "private";
  readonly topic?: string;
}

interface Standing {
  readonly rule: ParsedRule;
  seen: number;
  hits: number;
}

/** The faults that were asked for, and which of them is due. The first rule that is due takes the request or message. */
export class Faults {
  readonly #random: Random;
  #standings: Standing[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  /** Replaces all rules; none ends all faults. Throws a ZodError for rules that make no sense. */
  set(rules: readonly FaultRule[]): void {
    const parsed = FaultRules.parse({ rules });
    this.#standings = parsed.rules.map((rule) => ({ rule, seen: 0, hits: 0 }));
  }

  /** Every rule with how often it matched and how often it struck. */
  list(): readonly (ParsedRule & { readonly seen: number; readonly hits: number })[] {
    return this.#standings.map(({ rule, seen, hits }) => ({ ...rule, seen, hits }));
  }

  /** The fault for this request or message, counted as used; undefined for none. */
  take(occasion: Occasion): Fault | undefined {
    for (const standing of this.#standings) {
      const { rule } = standing;
      if (!matches(rule.match, occasion)) continue;
      standing.seen += 1;
      if (standing.seen <= rule.after) continue;
      if (rule.times !== null && standing.hits >= rule.times) continue;
      if (rule.share < 1 && this.#random() >= rule.share) continue;
      standing.hits += 1;
      return rule.fault;
    }
    return undefined;
  }
}

function matches(match: ParsedRule["match"], occasion: Occasion): boolean {
  return (
    match.stream === occasion.stream &&
    isNamed(match.endpoint, occasion.endpoint) &&
    isNamed(match.topic, occasion.topic) &&
    (match.side === undefined || match.side === occasion.side) &&
    (match.reduceOnly === undefined || match.reduceOnly === occasion.reduceOnly) &&
    (match.apiKey === undefined || match.apiKey === occasion.apiKey)
  );
}

function isNamed(pattern: string | undefined, name: string | undefined): boolean {
  if (pattern === undefined) return true;
  if (name === undefined) return false;
  return pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}
