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
}

interface StreamedCandle {
  readonly candle: Candle;
  readonly sentMs: number;
}

/**
 * The closed candles of one symbol in order, each shown to the strategy exactly once. Candles that the stream missed are
 * fetched before the next one counts; a candle that was only caught up with leads to no proposal.
 */
export class CandleSeries {
  readonly #options: SeriesOptions;
  readonly #fetch: FetchCandles;
  readonly #stepMs: number;
  #strategy: Strategy;
  #last: Candle | undefined;
  /** Of the newest candles: their prices are the strategy's business, and a thousand of them are 0.5 MB. */
  #openTimes: number[] = [];
  /** The first streamed candle that does not continue the series. */
  #awaiting: StreamedCandle | undefined;

  constructor(options: SeriesOptions, fetchCandles: FetchCandles) {
    this.#options = options;
    this.#fetch = fetchCandles;
    this.#stepMs = timeframeMs(options.timeframe);
    this.#strategy = startStrategy(options.strategy);
  }

  get last(): Candle | undefined {
    return this.#last;
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
    return this.#last === undefined || this.#awaiting !== undefined;
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

  /** Fetches what is missing. Gives the proposal of the streamed candle that waited for it, if one did. */
  async catchUp(): Promise<ProposedCandle | undefined> {
    const awaiting = this.#awaiting;
    const awaited = awaiting?.candle;
    const last = this.last;
    if (last !== undefined && awaited !== undefined && awaited.openTimeMs <= last.openTimeMs) {
      this.#awaiting = undefined; // it came while it was being fetched
      return undefined;
    }
    const gap = last && awaited ? (awaited.openTimeMs - last.openTimeMs) / this.#stepMs : Infinity;
    if (last === undefined || gap > WARM_UP_CANDLES) await this.#warmUp(awaited);
    else await this.#fill(last, awaited);
    // A newer candle may have come meanwhile: then the next catch-up continues from here.
    if (this.#awaiting !== awaiting) return undefined;
    this.#awaiting = undefined;
    if (awaiting === undefined || awaiting.candle.openTimeMs <= (this.last?.openTimeMs ?? 0))
      return undefined;
    return { ...awaiting, proposal: this.#append(awaiting.candle) };
  }

  async #warmUp(awaited: Candle | undefined): Promise<void> {
    const { symbol, timeframe } = this.#options;
    const candles = await this.#fetch({ symbol, timeframe, limit: WARM_UP_CANDLES });
    // The newest one is still in progress, unless the stream has shown that it is not.
    const closed = candles.slice(0, -1).filter((each) => isBefore(each, awaited));
    this.#last = undefined;
    this.#openTimes = [];
    this.#strategy = startStrategy(this.#options.strategy);
    for (const candle of closed) this.#append(candle);
  }

  async #fill(last: Candle, awaited: Candle | undefined): Promise<void> {
    const { symbol, timeframe } = this.#options;
    const sinceMs = last.openTimeMs + this.#stepMs;
    const candles = await this.#fetch({ symbol, timeframe, sinceMs, limit: WARM_UP_CANDLES });
    for (const candle of candles) {
      const expected = (this.last?.openTimeMs ?? 0) + this.#stepMs;
      if (isBefore(candle, awaited) && candle.openTimeMs === expected) this.#append(candle);
    }
    const next = (this.last?.openTimeMs ?? 0) + this.#stepMs;
    if (awaited === undefined || awaited.openTimeMs === next) return;
    // The exchange itself left it out (maintenance): the series starts again from what there is.
    if (candles.some((candle) => candle.openTimeMs > next)) return this.#warmUp(awaited);
    throw new Error(`${symbol}: the exchange has no candle ${new Date(next).toISOString()}`);
  }

  #append(candle: Candle): Proposal {
    this.#last = candle;
    this.#openTimes.push(candle.openTimeMs);
    if (this.#openTimes.length > WARM_UP_CANDLES) this.#openTimes.shift();
    return propose(this.#strategy, {
      openTimeMs: candle.openTimeMs,
      close: candle.close.toNumber(),
    });
  }
}

function isBefore(candle: Candle, limit: Candle | undefined): boolean {
  return limit === undefined || candle.openTimeMs < limit.openTimeMs;
}
