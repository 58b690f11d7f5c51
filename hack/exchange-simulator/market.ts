import { aggregate, type Candle, type CandleSeries, mergeCandles } from "./candles.ts";
import { Decimal } from "./money.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** Bybit's kline intervals up to a day, in minutes; the ones that the recorded candles divide are served. */
const intervalMinutes: Readonly<Record<string, number>> = {
  "1": 1,
  "3": 3,
  "5": 5,
  "15": 15,
  "30": 30,
  "60": 60,
  "120": 120,
  "240": 240,
  "360": 360,
  "720": 720,
  D: 1_440,
};

export interface KlineQuery {
  readonly symbol: string;
  /** Bybit's name of the interval: "1", "60", "D"… */
  readonly interval: string;
  readonly startMs: number | undefined;
  readonly endMs: number | undefined;
  readonly limit: number;
}

/** A candle of some interval and whether it is final. */
export interface KlineUpdate {
  readonly candle: Candle;
  readonly intervalMs: number;
  readonly confirmed: boolean;
}

/**
 * What the market shows at the replay's present, and nothing of its future. The candle in progress stands at the previous close
 * until it is opened, then at its open; its inside becomes visible when it closes.
 */
export class Market {
  readonly symbols: readonly string[];
  readonly #series: ReadonlyMap<string, CandleSeries>;
  readonly #aggregates = new Map<string, CandleSeries>();
  readonly #lastPrices = new Map<string, Decimal>();
  readonly #timeline: Timeline;
  readonly #historyCandles: number;
  /** Candles before this one are final; this one is in progress. */
  #index: number;
  #opened = false;

  /** `historyCandles`: how many candles are past when the replay begins. */
  constructor(allSeries: readonly CandleSeries[], historyCandles: number) {
    this.#series = new Map(allSeries.map((one) => [one.symbol, one]));
    this.symbols = [...this.#series.keys()];
    this.#timeline = commonTimeline(allSeries, historyCandles);
    this.#historyCandles = historyCandles;
    this.#index = historyCandles;
    for (const symbol of this.symbols) this.setLastPrice(symbol, this.#lastFinal(symbol).close);
  }

  has(symbol: string): boolean {
    return this.#series.has(symbol);
  }

  lastPrice(symbol: string): Decimal {
    const price = this.#lastPrices.get(symbol);
    if (price === undefined) throw new Error(`the simulator does not replay ${symbol}`);
    return price;
  }

  setLastPrice(symbol: string, price: string): Decimal {
    const decimal = new Decimal(price);
    this.#lastPrices.set(symbol, decimal);
    return decimal;
  }

  /** Start of the candle in progress, ms: the replay's present. */
  replayTime(): number {
    return this.#timeline.startMs + this.#index * this.#timeline.intervalMs;
  }

  isOpened(): boolean {
    return this.#opened;
  }

  emitted(): number {
    return this.#index - this.#historyCandles;
  }

  remaining(): number {
    return this.#timeline.length - this.#index;
  }

  /** The recorded candle that is in progress, future included: for the replay only. */
  recordedCandle(symbol: string): Candle {
    return this.#candleAt(symbol, this.#index);
  }

  openCandle(): void {
    this.#opened = true;
    for (const symbol of this.symbols) {
      this.setLastPrice(symbol, this.#candleAt(symbol, this.#index).open);
    }
  }

  closeCandle(): void {
    this.#opened = false;
    this.#index += 1;
  }

  /** Length of Bybit's interval `name` in ms, or undefined when the recorded candles cannot serve it. */
  servedIntervalMs(name: string): number | undefined {
    const minutes = intervalMinutes[name];
    if (minutes === undefined) return undefined;
    const ms = minutes * MINUTE_MS;
    return ms % this.#timeline.intervalMs === 0 ? ms : undefined;
  }

  /** Candles up to the present, newest first, as Bybit answers them. The newest one is always in progress, never final. */
  klines(query: KlineQuery): readonly Candle[] {
    const bucketMs = this.#bucketMs(query.interval);
    const { candles } = this.#buckets(query.symbol, bucketMs);
    const current = this.#bucketInProgress(query.symbol, bucketMs);
    const oldest = candles[0]?.start ?? current.start;
    // Of the whole recording only the first `final` buckets lie in the replay's past.
    const final = Math.max(0, (current.start - oldest) / bucketMs);
    const first = Math.max(0, Math.ceil(((query.startMs ?? oldest) - oldest) / bucketMs));
    const last = Math.min(final, Math.floor(((query.endMs ?? current.start) - oldest) / bucketMs));
    // With a start and no end Bybit counts the limit from the start; otherwise from the newest.
    const fromOldest = query.startMs !== undefined && query.endMs === undefined;
    const from = fromOldest ? first : Math.max(first, last - query.limit + 1);
    const until = Math.min(last + 1, from + query.limit);
    const page = candles.slice(from, Math.min(final, until));
    if (from <= final && until > final) page.push(current);
    return page.toReversed();
  }

  /** The candle of `interval` as the stream shows it: while one is open, or right after a recorded candle closed. */
  klineUpdate(symbol: string, interval: string): KlineUpdate {
    const bucketMs = this.#bucketMs(interval);
    if (this.#opened) {
      const candle = this.#bucketInProgress(symbol, bucketMs);
      return { candle, intervalMs: bucketMs, confirmed: false };
    }
    const closed = this.#lastFinal(symbol);
    const start = closed.start - (closed.start % bucketMs);
    const candle = mergeCandles(start, this.#finalCandlesSince(symbol, start));
    const confirmed = this.replayTime() === start + bucketMs;
    return { candle, intervalMs: bucketMs, confirmed };
  }

  /** The last 24 hours of final candles, as one. */
  lastDay(symbol: string): Candle {
    const start = this.replayTime() - DAY_MS;
    return mergeCandles(start, this.#finalCandlesSince(symbol, start));
  }

  #bucketMs(interval: string): number {
    const ms = this.servedIntervalMs(interval);
    if (ms === undefined) throw new Error(`interval ${interval} is not served`);
    return ms;
  }

  #candles(symbol: string): CandleSeries {
    const found = this.#series.get(symbol);
    if (found === undefined) throw new Error(`the simulator does not replay ${symbol}`);
    return found;
  }

  #candleAt(symbol: string, at: number): Candle {
    const candle = this.#candles(symbol).candles[at];
    if (candle === undefined) throw new Error(`${symbol} has no candle ${at}`);
    return candle;
  }

  #lastFinal(symbol: string): Candle {
    return this.#candleAt(symbol, this.#index - 1);
  }

  #finalCandlesSince(symbol: string, startMs: number): readonly Candle[] {
    const from = Math.max(0, (startMs - this.#timeline.startMs) / this.#timeline.intervalMs);
    return this.#candles(symbol).candles.slice(from, this.#index);
  }

  /** Full buckets of the whole recording, made once per interval. */
  #buckets(symbol: string, bucketMs: number): CandleSeries {
    if (bucketMs === this.#timeline.intervalMs) return this.#candles(symbol);
    const key = `${symbol} ${bucketMs}`;
    const known = this.#aggregates.get(key);
    if (known !== undefined) return known;
    const made = aggregate(this.#candles(symbol), bucketMs);
    this.#aggregates.set(key, made);
    return made;
  }

  #bucketInProgress(symbol: string, bucketMs: number): Candle {
    const present = this.replayTime();
    const start = present - (present % bucketMs);
    const price = this.#opened ? this.recordedCandle(symbol).open : this.#lastFinal(symbol).close;
    const started = {
      start: present,
      open: price,
      high: price,
      low: price,
      close: price,
      volume: "0",
    };
    return mergeCandles(start, [...this.#finalCandlesSince(symbol, start), started]);
  }
}

interface Timeline {
  readonly intervalMs: number;
  readonly startMs: number;
  readonly length: number;
}

/** All series must cover the same times, so that one replay clock serves them. */
function commonTimeline(allSeries: readonly CandleSeries[], historyCandles: number): Timeline {
  const [first, ...others] = allSeries;
  const start = first?.candles[0]?.start;
  if (first === undefined || start === undefined) throw new Error("nothing to replay");
  for (const other of others) {
    const same =
      other.intervalMs === first.intervalMs &&
      other.candles[0]?.start === start &&
      other.candles.length === first.candles.length;
    if (!same) throw new Error(`${other.symbol} does not cover the same times as ${first.symbol}`);
  }
  const length = first.candles.length;
  if (!Number.isInteger(historyCandles) || historyCandles < 1 || historyCandles >= length) {
    throw new Error(`history must be 1 to ${length - 1} candles, not ${historyCandles}`);
  }
  return { intervalMs: first.intervalMs, startMs: start, length };
}
