import type { Clock } from "../clock.ts";

/** Longer than any turn of work or collection of garbage; as old as a decision may be when its order leaves. */
const STALL_MS = 2_000;
/** Everything that was known before a stall is old; by then every position, balance and candle has been seen again. */
const QUIET_MS = 5_000;

/**
 * Notices when the process stood still: frozen by the kernel, starved of CPU, or blocked by its own work. Whatever runs first
 * after a stall finds it, not only the next tick.
 */
export class EventLoopWatch {
  readonly #clock: Pick<Clock, "monotonicMs">;
  #tickMs: number | undefined;
  #stall = { forMs: 0, quietUntilMs: -Infinity };
  #longestMs = 0;

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
  }

  /** To be called several times a second. Gives the length of a stall that has just ended, ms. */
  tick(): number | undefined {
    const nowMs = this.#clock.monotonicMs();
    const gapMs = nowMs - (this.#tickMs ?? nowMs);
    this.#tickMs = nowMs;
    this.#longestMs = Math.max(this.#longestMs, gapMs);
    if (gapMs < STALL_MS) return undefined;
    this.#stall = { forMs: gapMs, quietUntilMs: nowMs + QUIET_MS };
    return gapMs;
  }

  /** How long the process stands or stood still, in ms; undefined when that is over and what it knows is fresh again. */
  get stalledMs(): number | undefined {
    const nowMs = this.#clock.monotonicMs();
    const gapMs = nowMs - (this.#tickMs ?? nowMs);
    if (gapMs >= STALL_MS) return gapMs;
    return nowMs < this.#stall.quietUntilMs ? this.#stall.forMs : undefined;
  }

  /** Between two ticks of this process, ms. */
  get longestMs(): number {
    return this.#longestMs;
  }
}
