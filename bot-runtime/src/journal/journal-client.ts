import {
  type Exchange,
  type Intent,
  IntentAnswer,
  RecordAnswer,
  type RecordBody,
  SessionAnswer,
} from "@tradingbots/crds";
import type { Log } from "../bot/log.ts";
import type { Clock } from "../clock.ts";
import { type JournalAnswer, type JournalHttp, postJournal } from "./journal-http.ts";
import { LeaseKeeper } from "./lease-keeper.ts";
import { RecordBuffer } from "./record-buffer.ts";

/** Records of one turn travel together. */
const GATHER_MS = 20;
const RETRY_MIN_MS = 250;
/** Longest pause between attempts: the journal is back for everybody within this time. */
const RETRY_MAX_MS = 5_000;
/** Answers that speak of what was sent: the same batch will be refused at the tenth attempt too. */
const BAD_BATCH: ReadonlySet<string> = new Set([
  "validation_failed",
  "malformed_json",
  "bad_request",
  "body_too_large",
]);
/** Clocks differ: an order is reckoned to be on its way for so much longer. */
const CLOCK_MARGIN_MS = 3_000;
/** An order is sent within 2 s of its intent and the exchange refuses it 5 s after that. */
const OPENING_MAX_MS = 7_000;
/** Drops between two lines of the log about them. */
const DROPS_PER_LINE = 100;

export type JournalStanding = "ready" | "unavailable" | "stale";

type IntentOutcome = "appended" | "stale" | "refused" | "committed" | "halted" | "unconfirmed";

export interface JournalOptions extends JournalHttp {
  /** Where the bot trades: a halt may be about that. */
  readonly exchange: Exchange;
  readonly log: Log;
  readonly clock: Pick<Clock, "sleep" | "after" | "monotonicMs">;
  /** 0–1: spreads the retries of many bots. */
  readonly random: () => number;
  /** `isFirst` is false for a session that the journal lost: the bot knows more than its answer. */
  readonly onSession: (session: SessionAnswer, isFirst: boolean) => void;
}

/**
 * The bot's end of the journal: a session with its epoch, intents appended one by one before an order is sent, and records that
 * are kept until they are confirmed. Nothing here throws: the journal being away is a state, `standing`.
 */
export class JournalClient {
  readonly #options: JournalOptions;
  readonly #buffer = new RecordBuffer();
  readonly #ended = new AbortController();
  readonly #lease: LeaseKeeper;
  /** What was sent under the lease may arrive until then, by the clock that nobody sets. */
  #arrivesUntilMs = -Infinity;
  #session: SessionAnswer | undefined;
  #nextSequence = 1;
  #reachable = false;
  #stale = false;
  #sessionLost = false;
  #refused = 0;
  #wake: (() => void) | undefined;
  #idle: (() => void)[] = [];

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#lease = new LeaseKeeper({ ...options, onRefused: (code) => this.#noteRefusal(code) });
  }

  get standing(): JournalStanding {
    if (this.#stale) return "stale";
    return this.#session !== undefined && this.#reachable ? "ready" : "unavailable";
  }

  /** 0 before a session is granted. */
  get epoch(): number {
    return this.#session?.epoch ?? 0;
  }

  /** How long opening orders may still arrive at the exchange, in ms; 0 without a lease. */
  leaseRemainingMs(): number {
    return this.#stale ? 0 : this.#lease.remainingMs();
  }

  /** What is about to be sent may arrive at the exchange for so long, in ms: until then the lease is not given back. */
  keepLeaseFor(ms: number): void {
    const untilMs = this.#options.clock.monotonicMs() + ms + CLOCK_MARGIN_MS;
    this.#arrivesUntilMs = Math.max(this.#arrivesUntilMs, untilMs);
  }

  get session(): SessionAnswer | undefined {
    return this.#session;
  }

  get unconfirmed(): number {
    return this.#buffer.size;
  }

  get dropped(): number {
    return this.#buffer.dropped;
  }

  /** Records that the journal will never take. */
  get refused(): number {
    return this.#refused;
  }

  /** Opens the session, keeps the lease and delivers records until `end`. */
  async run(): Promise<void> {
    this.#lease.start();
    await this.#openSession();
    while (!this.#ended.signal.aborted) {
      await this.#deliver();
      if (this.#buffer.size === 0) this.#announceIdle();
      await this.#nextRecord();
    }
  }

  record(body: RecordBody): void {
    const { dropped, full } = this.#buffer;
    this.#buffer.add(body);
    if (this.#buffer.dropped > dropped && dropped % DROPS_PER_LINE === 0)
      this.#options.log.warn("records-dropped", { dropped: this.#buffer.dropped });
    if (this.#buffer.full && !full)
      this.#options.log.error("record-buffer-full", { waiting: this.#buffer.size });
    this.#wake?.();
  }

  /**
   * Appends what is about to be sent. Only `appended` allows the order; after `unconfirmed` the journal may hold the intent
   * nevertheless, `committed` says that other entries of the account are about to take what it needs, and `halted` that a halt is
   * in force, be it that this process has not heard of it.
   */
  async appendIntent(intent: Intent): Promise<IntentOutcome> {
    if (this.#session === undefined) return "refused";
    this.keepLeaseFor(OPENING_MAX_MS);
    const body = { epoch: this.#session.epoch, exchange: this.#options.exchange, intent };
    const answer = await postJournal(this.#options, {
      path: "/v1/intents",
      body,
      answer: IntentAnswer,
    });
    this.#reachable = answer.kind !== "unavailable";
    if (answer.kind === "answered") return "appended";
    this.#options.log.warn("intent-not-appended", { message: answer.message });
    if (answer.kind === "unavailable") return "unconfirmed";
    if (answer.code === "account_committed") return "committed";
    if (answer.code === "halted") return "halted";
    if (answer.code === "no_lease") this.#lease.noteLost();
    this.#noteRefusal(answer.code);
    return this.#stale ? "stale" : "refused";
  }

  /** Waits until everything is confirmed, at most `limitMs`. Says whether it is. */
  async flush(limitMs: number): Promise<boolean> {
    if (this.#buffer.size === 0) return true;
    const idle = new Promise<void>((resolve) => this.#idle.push(resolve));
    this.#wake?.();
    await Promise.race([idle, this.#options.clock.sleep(limitMs)]);
    return this.#buffer.size === 0;
  }

  /** Ends everything under way and gives the lease back. What the journal has not confirmed by now it will not hear. */
  async end(): Promise<void> {
    this.#ended.abort();
    this.#wake?.();
    await this.#lease.end(this.#options.clock.monotonicMs() > this.#arrivesUntilMs);
  }

  async #openSession(): Promise<void> {
    for (let failures = 0; !this.#ended.signal.aborted; failures += 1) {
      const answer = await postJournal(this.#options, {
        path: "/v1/session",
        body: {},
        answer: SessionAnswer,
      });
      if (answer.kind === "answered") {
        this.#useSession(answer.body);
        return;
      }
      // The pod was replaced before it was heard.
      if (answer.kind === "refused") this.#noteRefusal(answer.code);
      this.#options.log.warn("no-session", { message: answer.message });
      await this.#pause(failures);
    }
  }

  #useSession(session: SessionAnswer): void {
    const isFirst = this.#session === undefined;
    this.#session = session;
    this.#buffer.renumber();
    this.#nextSequence = session.lastSequence + 1;
    this.#sessionLost = false;
    this.#reachable = true;
    this.#options.log.info("session", { epoch: session.epoch });
    this.#lease.useEpoch(session.epoch);
    this.#options.onSession(session, isFirst);
  }

  /** What a refusal says of the session. One that the journal does not know (any more) is replaced before anything else. */
  #noteRefusal(code: string): void {
    // For good: an epoch never becomes current again, and a pod that was replaced must not take over again.
    if (code === "stale_epoch") this.#stale = true;
    if (code !== "unknown_session" || this.#stale) return;
    this.#sessionLost = true;
    this.#reachable = false;
    this.#lease.useEpoch(0);
    this.#wake?.();
  }

  /** Sends batches until none is left or the process ends. */
  async #deliver(): Promise<void> {
    let failures = 0;
    while (!this.#ended.signal.aborted) {
      if (this.#sessionLost) await this.#openSession();
      const records = this.#buffer.batch(this.#nextSequence);
      if (records.length === 0) return;
      const answer = await postJournal(this.#options, {
        path: "/v1/records",
        body: { epoch: this.epoch, records },
        answer: RecordAnswer,
      });
      if (answer.kind === "answered") {
        this.#reachable = true;
        this.#nextSequence += records.length;
        this.#buffer.confirm();
        failures = 0;
        continue;
      }
      // Records that are dropped one after the other without one being taken wait for each other: the fault may be the journal's.
      if (this.#findsBadRecord(answer)) continue;
      await this.#pause(failures);
      failures += 1;
    }
  }

  /** Deals with a batch that was not taken. True when the search for its bad record goes on. */
  #findsBadRecord(answer: Exclude<JournalAnswer<unknown>, { kind: "answered" }>): boolean {
    const { log } = this.#options;
    if (answer.kind === "unavailable" || !BAD_BATCH.has(answer.code)) {
      this.#reachable = false;
      log.warn("records-not-delivered", { message: answer.message, waiting: this.#buffer.size });
      if (answer.kind === "refused") this.#noteRefusal(answer.code);
      return false;
    }
    const record = this.#buffer.refuse();
    if (record === undefined) return true;
    this.#refused += 1;
    log.error("record-refused", { record: record.body, message: answer.message });
    return false;
  }

  async #nextRecord(): Promise<void> {
    if (this.#buffer.size === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        if (this.#ended.signal.aborted) resolve();
      });
      this.#wake = undefined;
    }
    await this.#sleep(GATHER_MS);
  }

  async #pause(failures: number): Promise<void> {
    const longest = Math.min(RETRY_MIN_MS * 2 ** Math.min(failures, 10), RETRY_MAX_MS);
    await this.#sleep(longest * (0.5 + this.#options.random() / 2));
  }

  async #sleep(ms: number): Promise<void> {
    await this.#options.clock.sleep(ms, this.#ended.signal);
  }

  #announceIdle(): void {
    for (const resolve of this.#idle) resolve();
    this.#idle = [];
  }
}
