import type { Timeframe } from "@tradingbots/crds";
import type { Candle, CandleQuery } from "../exchange/exchange.ts";
import { timeframeMs } from "../exchange/timeframe.ts";
import { propose, startStrategy } from "../strategies/start-strategy.ts";
import type { Proposal, Strategy } from "../strategies/strategy.ts";

/** One page of candles: seeds a smoothed index of any allowed period far enough to forget its start. */
const WARM_UP_CANDLES = 1_000;

type FetchCandles = (query: CandleQuery) => Promise<readonly Candle[]>;

export interface SeriesOptions {
  readonly symbol: string;
  readonly timeframe: Timeframe;
  readonly strategy: { readonly name: string; readonly params: Readonly<Record<string, unknown>> };
}

/** What the newest closed candle led to. */
export interface ProposedCandle {
  readonly candle: Candle;
  readonly proposal: Proposal;
  /** When the exchange sent the candle, by this process's monotonic clock, ms: what waits in a socket grows old there. */
  readonly sentMs: number;
  /** When the candle closed that says what is to be closed and was not heard at once: missed, or waiting for one that was; ms of candle time. */
  readonly missedCloseMs?: number;
}

interface StreamedCandle {
  readonly candle: Candle;
  readonly sentMs: number;
}

/**
 * The closed candles of one symbol in order, each shown to the strategy exactly once. Candles that the stream missed are
 * fetched as soon as a later one shows it, closed or in progress. What was only caught up with opens nothing, because it is too
 * late for that; but what the strategy wants closed by then is to be closed.
 */
export class CandleSeries {
  readonly #options: SeriesOptions;
  readonly #fetch: FetchCandles;
  readonly #stepMs: number;
  #strategy: Strategy;
  #last: Candle | undefined;
  #lastProposal: Proposal | undefined;
  /** Of the newest candles: their prices are the strategy's business, and a thousand of them are 0.5 MB. */
  #openTimes: number[] = [];
  /** The first streamed candle that does not continue the series. */
  #awaiting: StreamedCandle | undefined;
  /** The newest candle in progress that opened later than the one which continues the series. */
  #inProgress: StreamedCandle | undefined;
  /** Open time of the newest candle in progress up to which all was fetched that there is: the exchange itself may have left some out. */
  #caughtUpToMs = -Infinity;
  /** The newest word about what is to be closed, of candles that were caught up with; nobody has heard it yet. */
  #missed: ProposedCandle | undefined;

  constructor(options: SeriesOptions, fetchCandles: FetchCandles) {
    this.#options = options;
    this.#fetch = fetchCandles;
    this.#stepMs = timeframeMs(options.timeframe);
    this.#strategy = startStrategy(options.strategy);
  }

  get last(): Candle | undefined {
    return this.#last;
  }

  /** What the strategy said at the newest closed candle, also where that was only caught up with. */
  get lastProposal(): Proposal | undefined {
    return this.#lastProposal;
  }

  /** Close time of the newest closed candle, ms of candle time. */
  get lastCloseMs(): number | undefined {
    const { last } = this;
    return last && last.openTimeMs + this.#stepMs;
  }

  get openTimes(): readonly number[] {
    return this.#openTimes;
  }

  get needsCatchUp(): boolean {
    if (this.#last === undefined || this.#awaiting !== undefined) return true;
    return this.#inProgress !== undefined && this.#isBeyondNext(this.#inProgress.candle);
  }

  #isBeyondNext({ openTimeMs }: Candle): boolean {
    return this.#last !== undefined && openTimeMs > this.#last.openTimeMs + this.#stepMs;
  }

  /** Takes a candle in progress of the stream. True when it is the first to show that closed ones before it were missed. */
  see(candle: Candle, sentMs: number): boolean {
    if (!this.#isBeyondNext(candle) || candle.openTimeMs <= this.#caughtUpToMs) return false;
    const isNews = !this.needsCatchUp;
    this.#inProgress = { candle, sentMs };
    return isNews;
  }

  /** Takes a closed candle of the stream. Undefined when it is old, or when candles before it are missing. */
  push(candle: Candle, sentMs: number): ProposedCandle | undefined {
    const last = this.last;
    if (last !== undefined && candle.openTimeMs <= last.openTimeMs) return undefined;
    if (last === undefined || candle.openTimeMs !== last.openTimeMs + this.#stepMs) {
      this.#awaiting = { candle, sentMs };
      return undefined;
    }
    return { candle, proposal: this.#append(candle), sentMs };
  }

  /**
   * Fetches what is missing. Gives the proposal of the streamed candle that waited for it, if one did, and else what is to be
   * closed by what was fetched.
   */
  async catchUp(): Promise<ProposedCandle | undefined> {
    const awaiting = this.#awaiting;
    const last = this.last;
    if (last !== undefined && awaiting !== undefined && !isBefore(last, awaiting.candle)) {
      this.#awaiting = undefined; // it came while it was being fetched
      return this.#takeMissed();
    }
    const shown = awaiting ?? this.#inProgress;
    if (last === undefined || shown === undefined || this.#isFarBeyond(last, shown.candle))
      await this.#warmUp(shown?.candle);
    else await this.#fill(last, shown);
    this.#noteCaughtUp(shown);
    // A newer candle may have come meanwhile: then the next catch-up continues from here.
    if (this.#awaiting !== awaiting) return undefined;
    this.#awaiting = undefined;
    if (
      awaiting === undefined ||
      (this.last !== undefined && !isBefore(this.last, awaiting.candle))
    )
      return this.#takeMissed();
    const missed = this.#takeMissed();
    const proposal = this.#append(awaiting.candle);
    const missedCloseMs = awaiting.candle.openTimeMs + this.#stepMs;
    if (proposal.exit !== undefined || missed === undefined)
      return { ...awaiting, proposal, missedCloseMs };
    return { ...missed, ...awaiting };
  }

  /** What is still missing before a candle in progress will not come. */
  #noteCaughtUp(shown: StreamedCandle | undefined): void {
    if (shown === undefined) return;
    this.#caughtUpToMs = Math.max(this.#caughtUpToMs, shown.candle.openTimeMs);
    const seen = this.#inProgress?.candle.openTimeMs ?? -Infinity;
    if (seen <= this.#caughtUpToMs) this.#inProgress = undefined;
  }

  #isFarBeyond(last: Candle, shown: Candle): boolean {
    return shown.openTimeMs - last.openTimeMs > WARM_UP_CANDLES * this.#stepMs;
  }

  #takeMissed(): ProposedCandle | undefined {
    const missed = this.#missed;
    this.#missed = undefined;
    return missed;
  }

  async #warmUp(awaited: Candle | undefined): Promise<void> {
    const { symbol, timeframe } = this.#options;
    const candles = await this.#fetch({ symbol, timeframe, limit: WARM_UP_CANDLES });
    // The newest one is still in progress, unless the stream has shown that it is not.
    const closed = candles.slice(0, -1).filter((each) => isBefore(each, awaited));
    this.#last = undefined;
    this.#lastProposal = undefined;
    this.#openTimes = [];
    this.#strategy = startStrategy(this.#options.strategy);
    for (const candle of closed) this.#append(candle);
  }

  /** Up to the candle that was shown, without it. */
  async #fill(last: Candle, shown: StreamedCandle): Promise<void> {
    const { symbol, timeframe } = this.#options;
    const { candle: limit, sentMs } = shown;
    const sinceMs = last.openTimeMs + this.#stepMs;
    const told = await this.#fetch({ symbol, timeframe, sinceMs, limit: WARM_UP_CANDLES });
    // An answer that does not reach the candle in progress which the stream has shown may end in one that is in progress there.
    const isWhole = shown === this.#awaiting || told.some((each) => !isBefore(each, limit));
    const candles = isWhole ? told : told.slice(0, -1);
    for (const candle of candles) {
      const expected = (this.last?.openTimeMs ?? 0) + this.#stepMs;
      if (!isBefore(candle, limit) || candle.openTimeMs !== expected) continue;
      const proposal = { ...this.#append(candle), enter: undefined, confidence: 0 };
      const missedCloseMs = candle.openTimeMs + this.#stepMs;
      if (proposal.exit !== undefined) this.#missed = { candle, proposal, sentMs, missedCloseMs };
    }
    const next = (this.last?.openTimeMs ?? 0) + this.#stepMs;
    // One that came by the stream meanwhile may have gone beyond it.
    if (limit.openTimeMs <= next) return;
    // The exchange itself left it out (maintenance): the series starts again from what there is.
    if (candles.some((candle) => candle.openTimeMs > next)) return this.#warmUp(limit);
    throw new Error(`${symbol}: the exchange has no candle ${new Date(next).toISOString()}`);
  }

  #append(candle: Candle): Proposal {
    this.#last = candle;
    this.#openTimes.push(candle.openTimeMs);
    if (this.#openTimes.length > WARM_UP_CANDLES) this.#openTimes.shift();
    this.#lastProposal = propose(this.#strategy, {
      openTimeMs: candle.openTimeMs,
      close: candle.close.toNumber(),
    });
    return this.#lastProposal;
  }
}

function isBefore(candle: Candle, limit: Candle | undefined): boolean {
  return limit === undefined || candle.openTimeMs < limit.openTimeMs;
}
