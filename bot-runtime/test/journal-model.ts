import { isDeepStrictEqual } from "node:util";
import {
  type Intent,
  IntentRequest,
  LeaseRequest,
  RecordBatch,
  type RecordBody,
  type Report,
  REQUESTS_REMEMBERED,
  type RequestResult,
  type SessionAnswer,
  type Trade,
} from "@tradingbots/crds";
import type { z } from "zod";
import type { HttpClient } from "../src/http-client.ts";
import { amount, add, text, ZERO_AMOUNT } from "../src/money.ts";
import { Commitments } from "./commitments.ts";

/** As in `api/src/journal/leases.ts`. */
const LEASE_TTL_MS = 15_000;

export interface ModelAnswer {
  readonly status: number;
  readonly body: unknown;
}

interface Stored {
  readonly epoch: number;
  readonly sequence: number;
  readonly body: RecordBody;
}

interface Lease {
  readonly podUid: string;
  readonly epoch: number;
  readonly untilMs: number;
}

export interface JournalModelOptions {
  /** The journal's own clock, ms: leases run out by it. */
  readonly nowMs: () => number;
  /** Of the bot's account; those of its other bots are among them. Its own alone by default. */
  readonly commitments?: Commitments;
}

const UNKNOWN_SESSION = refusal(409, "unknown_session");
const STALE_EPOCH = refusal(409, "stale_epoch");
const INTENT_CLOSED = refusal(409, "intent_closed");
const ACCOUNT_COMMITTED = refusal(409, "account_committed");
const HALTED = refusal(409, "halted");
const FINAL: ReadonlySet<string> = new Set(["filled", "cancelled", "refused"]);

/** A halt that concerns the bot, on these symbols or, with null, on all. */
export interface ModelHalt {
  readonly symbols: readonly string[] | null;
}

/**
 * The journal of one bot in memory, without HTTP and without a clock of its own. A contract suite holds it to what the real
 * journal on Postgres answers (`api/test/journal-contract.test.ts`). Pods are told apart by their uid, which is also their bearer token.
 */
export class JournalModel {
  readonly intents = new Map<string, Intent>();
  readonly #nowMs: () => number;
  readonly #commitments: Commitments;
  #halts: readonly ModelHalt[] = [];
  #haltedMs = -Infinity;
  #newestEpoch = 0;
  #lease: Lease | undefined;
  /** Order in which the pods were made: the real journal reads it from when their tokens were issued. */
  readonly #pods: string[] = [];
  /** Pod that each epoch was granted to. */
  readonly #sessions = new Map<number, string>();
  readonly #stored = new Map<string, Stored>();
  readonly #lastSequences = new Map<number, number>();
  /** What became of each request; the first word about its end counts. */
  readonly #requests = new Map<string, RequestResult>();
  /** Client order ids that have come to their end, appended or not. */
  readonly #over = new Set<string>();

  constructor({ nowMs, commitments = new Commitments() }: JournalModelOptions) {
    this.#nowMs = nowMs;
    this.#commitments = commitments;
  }

  /** As `HttpClient`, so that the real `JournalClient` talks to it in the same process. */
  readonly send: HttpClient = async (url, { headers, body }) => {
    const podUid = (headers["authorization"] ?? "").replace("Bearer ", "");
    const answer = this.handle(new URL(url).pathname, podUid, JSON.parse(body ?? "{}"));
    const answerText = JSON.stringify(answer.body);
    return { status: answer.status, statusText: "", headers: {}, text: async () => answerText };
  };

  /** One request of a pod, by the path of the protocol. */
  handle(path: string, podUid: string, body: unknown): ModelAnswer {
    this.addPod(podUid);
    if (path === "/v1/session") return this.session(podUid);
    if (path === "/v1/lease") return withBody(LeaseRequest, body, (of) => this.lease(podUid, of));
    if (path === "/v1/lease/release")
      return withBody(LeaseRequest, body, (of) => this.release(podUid, of));
    if (path === "/v1/intents")
      return withBody(IntentRequest, body, (of) => this.appendIntent(podUid, of));
    if (path === "/v1/records")
      return withBody(RecordBatch, body, (of) => this.appendRecords(podUid, of));
    return refusal(404, "not_found");
  }

  /** A pod is made, after all that were made before; without this, its first request tells. */
  addPod(podUid: string): void {
    if (!this.#pods.includes(podUid)) this.#pods.push(podUid);
  }

  /** The halts that are in force from now on. */
  halt(halts: readonly ModelHalt[]): void {
    this.#halts = halts;
    this.#haltedMs = this.#nowMs();
  }

  /** Since when, by the journal's clock, no entry of the symbol may be opened; undefined when it may. */
  haltedSinceMs(symbol: string): number | undefined {
    const isHalted = this.#halts.some(({ symbols }) => symbols?.includes(symbol) !== false);
    return isHalted ? this.#haltedMs : undefined;
  }

  session(podUid: string): ModelAnswer {
    this.addPod(podUid);
    const newer = this.#pods.slice(this.#pods.indexOf(podUid) + 1);
    if ([...this.#sessions.values()].some((pod) => newer.includes(pod))) return STALE_EPOCH;
    this.#newestEpoch += 1;
    this.#sessions.set(this.#newestEpoch, podUid);
    return { status: 200, body: this.#sessionAnswer() };
  }

  lease(podUid: string, { epoch }: z.infer<typeof LeaseRequest>): ModelAnswer {
    const refused = this.#refusalOf(podUid, epoch);
    if (refused !== undefined) return refused;
    const held = this.leaseholder;
    if (held !== undefined && held.podUid !== podUid) {
      // It would end later than a new one when the clock has stepped back.
      const untilMs = Math.min(held.untilMs, this.#nowMs() + LEASE_TTL_MS);
      this.#lease = { ...held, untilMs };
      const retryAfterMs = Math.ceil(untilMs - this.#nowMs());
      return refusal(409, "lease_held", { retryAfterMs });
    }
    this.#lease = { podUid, epoch, untilMs: this.#nowMs() + LEASE_TTL_MS };
    return { status: 200, body: { ttlMs: LEASE_TTL_MS } };
  }

  release(podUid: string, { epoch }: z.infer<typeof LeaseRequest>): ModelAnswer {
    const held = this.#lease;
    if (held?.podUid === podUid && held.epoch <= epoch) this.#lease = undefined;
    return { status: 200, body: { released: true } };
  }

  appendIntent(podUid: string, { epoch, intent }: z.infer<typeof IntentRequest>): ModelAnswer {
    const refused = this.#refusalOf(podUid, epoch);
    if (refused !== undefined) return refused;
    if (this.leaseholder?.epoch !== epoch) return refusal(409, "no_lease");
    if (this.haltedSinceMs(intent.symbol) !== undefined) return HALTED;
    const { clientOrderId: id, commitment } = intent;
    if (!this.#commitments.fits(id, commitment, this.#nowMs())) return ACCOUNT_COMMITTED;
    const kept = this.intents.get(id) ?? intent;
    if (this.#over.has(id) || !isSameOrder(kept, intent)) return INTENT_CLOSED;
    this.intents.set(id, kept);
    if (commitment !== undefined) this.#commitments.add(id, commitment, this.#nowMs());
    return { status: 200, body: { accepted: true } };
  }

  appendRecords(podUid: string, { epoch, records }: z.infer<typeof RecordBatch>): ModelAnswer {
    if (this.#sessions.get(epoch) !== podUid) return UNKNOWN_SESSION;
    for (const { sequence, body } of records) {
      const key = `${epoch}/${sequence}`;
      if (!this.#stored.has(key)) this.#stored.set(key, { epoch, sequence, body });
      if (body.type === "order" && FINAL.has(body.status)) this.#over.add(body.clientOrderId);
      if (body.type === "trade" && body.trade.closedAt !== null) this.#over.add(body.trade.id);
      if (body.type === "request") this.#keepResult(body.result);
      this.#settleCommitment(body);
      this.#lastSequences.set(epoch, Math.max(sequence, this.#lastSequences.get(epoch) ?? 0));
    }
    return { status: 200, body: { lastSequence: this.#lastSequences.get(epoch) ?? 0 } };
  }

  #keepResult(result: RequestResult): void {
    const kept = this.#requests.get(result.id)?.status ?? "begun";
    // A pod that was replaced may refuse what its successor does.
    const isNews = kept === "begun" || (kept !== "done" && result.status === "done");
    if (isNews) this.#requests.set(result.id, result);
  }

  /** What has begun before what is over, and of both the newest. */
  #toldRequests(): RequestResult[] {
    const all = this.requests;
    const begun = all.filter(({ status }) => status === "begun");
    const byWorth = [...all.filter(({ status }) => status !== "begun"), ...begun];
    const told = new Set(byWorth.slice(-REQUESTS_REMEMBERED));
    return all.filter((each) => told.has(each));
  }

  /** What the journal knows of requests, in the order in which it first heard of them. */
  get requests(): readonly RequestResult[] {
    return [...this.#requests.values()];
  }

  #settleCommitment(body: RecordBody): void {
    const isEnd = body.type === "order" && body.purpose === "entry" && FINAL.has(body.status);
    if (isEnd) this.#commitments.settle(body.clientOrderId, this.#nowMs());
    if (body.type === "trade") this.#commitments.settle(body.trade.id, this.#nowMs());
  }

  /** A newer epoch of the same pod only means that another session is to be opened; one of another pod is the end. */
  #refusalOf(podUid: string, epoch: number): ModelAnswer | undefined {
    if (this.#sessions.get(epoch) !== podUid) return UNKNOWN_SESSION;
    if (epoch === this.#newestEpoch) return undefined;
    return this.#sessions.get(this.#newestEpoch) === podUid ? UNKNOWN_SESSION : STALE_EPOCH;
  }

  /** Who holds the lease at this moment. */
  get leaseholder(): Lease | undefined {
    const held = this.#lease;
    return held !== undefined && held.untilMs > this.#nowMs() ? held : undefined;
  }

  /** As if its time had run out. */
  expireLease(): void {
    this.#lease = undefined;
  }

  /** Another process of the bot asks for its session: every epoch before is stale from now on. */
  takeOver(): void {
    this.#newestEpoch += 1;
  }

  /** As after a restored backup: no session of before is known. */
  forgetSessions(): void {
    this.#sessions.clear();
    this.#lease = undefined;
  }

  /** Everything that was told, each fact once: an exchange may tell of an execution twice. */
  get records(): readonly RecordBody[] {
    const executions = new Set<string>();
    const isNew = (body: RecordBody) => {
      if (body.type !== "fill" && body.type !== "funding") return true;
      const { size } = executions;
      return executions.add(body.executionId).size > size;
    };
    return [...this.#stored.values()].map(({ body }) => body).filter(isNew);
  }

  ofType<Type extends RecordBody["type"]>(type: Type): Extract<RecordBody, { type: Type }>[] {
    return this.records.filter(
      (body): body is Extract<RecordBody, { type: Type }> => body.type === type,
    );
  }

  /** The last word on every trade, in the order of their first. What executions have closed stays closed. */
  get trades(): readonly Trade[] {
    const trades = new Map<string, Trade>();
    for (const { body } of this.#inOrder()) {
      if (body.type !== "trade") continue;
      const { trade } = body;
      const known = trades.get(trade.id);
      if (known === undefined || !isOver(known) || isOver(trade)) trades.set(trade.id, trade);
    }
    return [...trades.values()];
  }

  /** What the next process is told of as open. */
  get openTrades(): readonly Trade[] {
    return this.trades.filter(({ closedAt }) => closedAt === null);
  }

  /** The latest report: of the newest epoch that told one. */
  get report(): Report | undefined {
    const reports = this.#inOrder().flatMap(({ body }) =>
      body.type === "report" ? [body.report] : [],
    );
    return reports.at(-1);
  }

  get events(): readonly string[] {
    return this.ofType("event").map(({ kind, message }) => `${kind}: ${message}`);
  }

  #inOrder(): readonly Stored[] {
    return [...this.#stored.values()].toSorted(
      (a, b) => a.epoch - b.epoch || a.sequence - b.sequence,
    );
  }

  #sessionAnswer(): SessionAnswer {
    const { report } = this;
    return {
      epoch: this.#newestEpoch,
      lastSequence: 0,
      openTrades: [...this.openTrades],
      openIntents: [...this.intents.values()].filter((each) => !this.#over.has(each.clientOrderId)),
      errors: report ? { generation: report.generation, count: report.consecutiveErrors } : null,
      dayBaseline: this.#dayBaseline(),
      realised: this.#realised(),
      requests: this.#toldRequests(),
    };
  }

  #realised(): string {
    const closed = this.trades.filter(({ closedAt }) => closedAt !== null);
    return text(closed.map(({ pnl }) => amount(pnl ?? "0")).reduce(add, ZERO_AMOUNT));
  }

  #dayBaseline(): SessionAnswer["dayBaseline"] {
    const baselines = this.ofType("day-baseline");
    const day = baselines.map((baseline) => baseline.day).reduce((a, b) => (a > b ? a : b), "");
    const baseline = baselines.find((each) => each.day === day); // the first word counts
    if (baseline === undefined) return null;
    return { day, equity: baseline.equity, startsFrom: baseline.startsFrom };
  }
}

/** What is committed for it may be another sum by now. */
function isSameOrder(
  { commitment: _kept, ...kept }: Intent,
  { commitment: _told, ...told }: Intent,
): boolean {
  return isDeepStrictEqual(kept, told);
}

function refusal(status: number, code: string, more: object = {}): ModelAnswer {
  return { status, body: { code, detail: code, ...more } };
}

function withBody<Body extends z.ZodType>(
  schema: Body,
  body: unknown,
  answer: (body: z.infer<Body>) => ModelAnswer,
): ModelAnswer {
  const parsed = schema.safeParse(body);
  return parsed.success ? answer(parsed.data) : refusal(422, "validation_failed");
}

/** Neither open, nor given up as dust or as closed by nobody knows what. */
function isOver({ closedAt, reason }: Trade): boolean {
  return closedAt !== null && reason !== "dust" && reason !== "unknown";
}
