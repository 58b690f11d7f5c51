import type { Candle } from "../exchange/exchange.ts";
import type { Proposal } from "../strategies/strategy.ts";
import type { CandleSeries, ProposedCandle } from "./candle-series.ts";
import { Turns } from "./turns.ts";

/** Longest pause between two attempts to fetch candles. */
const CATCH_UP_PAUSE_MAX_MS = 15_000;

/**
 * What the strategy proposes, newest only. Candles that the stream missed are fetched beside everything else: a position is
 * never left waiting for candles.
 */
export class Proposals {
  readonly #catchingUp: Turns;
  readonly #ended: (error: unknown) => void;
  #series: CandleSeries | undefined;
  #newest: ProposedCandle | undefined;

  /** `ended` is called after candles were fetched, or were not. */
  constructor(options: {
    readonly ended: (error: unknown) => void;
    readonly monotonicMs: () => number;
  }) {
    this.#ended = options.ended;
    this.#catchingUp = new Turns({
      turn: () => this.#fetch(),
      ended: options.ended,
      longestPauseMs: () => CATCH_UP_PAUSE_MAX_MS,
      monotonicMs: options.monotonicMs,
    });
  }

  /** Another strategy, or another timeframe: what the old one proposed is void. */
  restart(series: CandleSeries): void {
    this.#series = series;
    this.#newest = undefined;
  }

  /** A closed candle of the stream, sent at this time of the monotonic clock; gives what the strategy proposes at it. */
  push(candle: Candle, sentMs: number): ProposedCandle | undefined {
    try {
      const proposed = this.#series?.push(candle, sentMs);
      this.#newest = proposed ?? this.#newest;
      return proposed;
    } catch (error) {
      this.#ended(error);
      return undefined;
    }
  }

  /** A candle in progress of the stream; true when it is the first to show that closed ones before it were missed. */
  see(candle: Candle, sentMs: number): boolean {
    return this.#series?.see(candle, sentMs) === true;
  }

  /** No candles are being fetched. */
  get idle(): boolean {
    return this.#catchingUp.idle;
  }

  /** Fetches in the background what is missing. */
  catchUp(): void {
    if (this.#series?.needsCatchUp === true) this.#catchingUp.wake();
  }

  /** What nobody has taken yet. */
  get newest(): ProposedCandle | undefined {
    return this.#newest;
  }

  /** The newest proposal, once. */
  take(): ProposedCandle | undefined {
    const newest = this.#newest;
    this.#newest = undefined;
    return newest;
  }

  /** Open times of the candles known, ms of candle time. */
  get openTimes(): readonly number[] {
    return this.#series?.openTimes ?? [];
  }

  /** What the strategy said at the newest close that is known, however that came to be known. */
  get lastSaid(): Proposal | undefined {
    return this.#series?.lastProposal;
  }

  get lastCloseMs(): number | undefined {
    return this.#series?.lastCloseMs;
  }

  async #fetch(): Promise<void> {
    const series = this.#series;
    if (series?.needsCatchUp !== true) return;
    const proposed = await series.catchUp();
    // Another strategy may have begun meanwhile: the old one proposes nothing more.
    if (proposed !== undefined && series === this.#series) this.#newest = proposed;
  }
}
