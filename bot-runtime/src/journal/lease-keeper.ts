import { LeaseAnswer, LeaseReleaseAnswer } from "@tradingbots/crds";
import type { Log } from "../bot/log.ts";
import type { Clock } from "../clock.ts";
import { type JournalAnswer, type JournalHttp, postJournal } from "./journal-http.ts";

/** Two renewals may fail before a lease of 15 s is too short for an order. */
const RENEW_EVERY_MS = 5_000;
const RETRY_MIN_MS = 250;
const RETRY_MAX_MS = 2_000;

/** Answers after which the epoch opens nothing: the journal says that another one counts, or none. */
type Loss = "lease_held" | "stale_epoch" | "unknown_session";
const LOSSES: ReadonlySet<string> = new Set<Loss>(["lease_held", "stale_epoch", "unknown_session"]);

export interface LeaseKeeperOptions extends JournalHttp {
  readonly log: Log;
  readonly clock: Pick<Clock, "sleep" | "after" | "monotonicMs">;
  /** 0–1: spreads the requests of many bots. */
  readonly random: () => number;
  /** The epoch has no right to a lease (any more): `stale_epoch` for good, `unknown_session` until there is a new one. */
  readonly onRefused: (code: string) => void;
}

/**
 * Holds the bot's lease, without which nothing is opened: asks for it under the session's epoch and renews it until `end`. How
 * long it is valid is counted from the moment the answered request was sent, by the clock that never steps: a process that was
 * frozen or cut off can take it for shorter than the journal does, never for longer.
 */
export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  /** 0: there is no session to ask with. */
  #epoch = 0;
  #validUntilMs = -Infinity;
  #failures = 0;
  #ended = false;
  #pause = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
  }

  /** How long opening orders may still arrive at the exchange, in ms; 0 without a lease. */
  remainingMs(): number {
    return Math.max(0, this.#validUntilMs - this.#options.clock.monotonicMs());
  }

  /** Asks with this session's epoch from now on; 0 when it was lost. A lease of the epoch before is worth nothing: the journal goes by the newest. */
  useEpoch(epoch: number): void {
    this.#epoch = epoch;
    this.#lose();
  }

  /** The journal says that the lease is not held: asks for it anew, at once. */
  noteLost(): void {
    this.#lose();
  }

  start(): void {
    this.#running = this.#run();
  }

  /**
   * Stops, and gives the lease back so that the next pod need not wait for its end. `mayRelease` is false while an order sent
   * under it may still reach the exchange: then it runs out by itself.
   */
  async end(mayRelease: boolean): Promise<void> {
    const isHeld = this.remainingMs() > 0;
    const epoch = this.#epoch;
    this.#ended = true;
    this.#lose();
    await this.#running; // a renewal under way would come after the release
    if (!isHeld || !mayRelease) return;
    const path = "/v1/lease/release";
    await postJournal(this.#options, { path, body: { epoch }, answer: LeaseReleaseAnswer });
  }

  #lose(): void {
    this.#validUntilMs = -Infinity;
    this.#failures = 0;
    this.#pause.abort();
  }

  async #run(): Promise<void> {
    while (!this.#ended) {
      const epoch = this.#epoch;
      const pauseMs = epoch === 0 ? RENEW_EVERY_MS : await this.#ask(epoch);
      // A session that came meanwhile is asked for without a pause.
      if (this.#epoch !== epoch || this.#ended) continue;
      this.#pause = new AbortController();
      await this.#options.clock.sleep(pauseMs, this.#pause.signal);
    }
  }

  /** One request. Gives the time until the next one. */
  async #ask(epoch: number): Promise<number> {
    const sentMs = this.#options.clock.monotonicMs();
    const answer = await postJournal(this.#options, {
      path: "/v1/lease",
      body: { epoch },
      answer: LeaseAnswer,
    });
    if (epoch !== this.#epoch || this.#ended) return 0;
    if (answer.kind !== "answered") return this.#spread(this.#waitAfter(answer));
    if (this.remainingMs() === 0) this.#options.log.info("lease-granted", { epoch });
    this.#validUntilMs = sentMs + answer.body.ttlMs;
    this.#failures = 0;
    return RENEW_EVERY_MS;
  }

  #waitAfter(answer: Exclude<JournalAnswer<unknown>, { kind: "answered" }>): number {
    const { log, onRefused } = this.#options;
    const remainingMs = Math.round(this.remainingMs());
    log.warn("lease-not-renewed", { message: answer.message, remainingMs });
    const waitMs = RETRY_MIN_MS * 2 ** Math.min(this.#failures, 10);
    this.#failures += 1;
    if (answer.kind === "unavailable" || !LOSSES.has(answer.code)) return waitMs;
    this.#validUntilMs = -Infinity;
    if (answer.code === "lease_held") return answer.retryAfterMs ?? RETRY_MAX_MS;
    this.#epoch = 0;
    onRefused(answer.code);
    return RETRY_MAX_MS;
  }

  #spread(waitMs: number): number {
    const bounded = Math.min(Math.max(waitMs, RETRY_MIN_MS), RETRY_MAX_MS);
    return bounded * (0.5 + this.#options.random() / 2);
  }
}
