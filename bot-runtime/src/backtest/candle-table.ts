/**
 * Candles of one symbol, oldest first, a column each. Prices are the doubles nearest to the decimal text of the file, which has
 * at most 15 significant digits: comparing two of them is exact, and `String(double)` gives the text's value back.
 */
export interface CandleTable {
  readonly length: number;
  /** ms UTC, ascending. */
  readonly openTimesMs: Float64Array;
  readonly opens: Float64Array;
  readonly highs: Float64Array;
  readonly lows: Float64Array;
  readonly closes: Float64Array;
  /** The most frequent distance of two neighbours; 0 when there is only one candle. */
  readonly intervalMs: number;
  readonly gaps: readonly Gap[];
  /** Decimal places of the finest price, needless zeros not counted: 1 when the prices are multiples of 0.1. */
  readonly priceDecimals: number;
}

/** Candles that are missing between two neighbours. */
interface Gap {
  /** Index of the first candle after the gap. */
  readonly index: number;
  readonly missing: number;
  /** Open time of the first missing candle, ms. */
  readonly fromMs: number;
}

/** Most candles of one table: 57 years of minutes. Five columns of doubles then take 1.2 GB. */
const MAX_CANDLES = 30_000_000;
const FIRST_CAPACITY = 1 << 16;

/** Most significant digits of a price: every decimal of so many digits has a double of its own. */
export const PRICE_DIGITS = 15;

/** Fills a table candle by candle; the columns grow by doubling. */
export class CandleTableBuilder {
  #length = 0;
  #openTimesMs = new Float64Array(FIRST_CAPACITY);
  #opens = new Float64Array(FIRST_CAPACITY);
  #highs = new Float64Array(FIRST_CAPACITY);
  #lows = new Float64Array(FIRST_CAPACITY);
  #closes = new Float64Array(FIRST_CAPACITY);

  get length(): number {
    return this.#length;
  }

  /**
   * Appends the candle `[openTime, open, high, low, close]`. Gives back what is wrong with it, or undefined: it must come after
   * the one before, and its prices must be possible.
   */
  append(candle: Float64Array): string | undefined {
    const [openTimeMs = NaN, open = NaN, high = NaN, low = NaN, close = NaN] = candle;
    const at = this.#length;
    if (at > 0) {
      const before = this.#openTimesMs[at - 1] ?? NaN;
      if (openTimeMs === before) return `duplicate: ${isoTime(openTimeMs)} again`;
      if (openTimeMs < before)
        return `disorder: ${isoTime(openTimeMs)} after ${isoTime(before)}; sort the file by openTime`;
    }
    if (!(low > 0 && low <= open && low <= close && high >= open && high >= close))
      return `impossible candle: open ${open}, high ${high}, low ${low}, close ${close}`;
    if (at === MAX_CANDLES) return `more than ${MAX_CANDLES} candles`;
    if (at === this.#opens.length) this.#grow();
    this.#openTimesMs[at] = openTimeMs;
    this.#opens[at] = open;
    this.#highs[at] = high;
    this.#lows[at] = low;
    this.#closes[at] = close;
    this.#length += 1;
    return undefined;
  }

  /** `priceDecimals`: see `CandleTable`. Throws `OffGridError`. */
  build(priceDecimals: number): CandleTable {
    const cut = (column: Float64Array): Float64Array => column.subarray(0, this.#length);
    const openTimesMs = cut(this.#openTimesMs);
    const intervalMs = mostFrequentStep(openTimesMs);
    return {
      length: this.#length,
      openTimesMs,
      opens: cut(this.#opens),
      highs: cut(this.#highs),
      lows: cut(this.#lows),
      closes: cut(this.#closes),
      intervalMs,
      gaps: findGaps(openTimesMs, intervalMs),
      priceDecimals,
    };
  }

  #grow(): void {
    this.#openTimesMs = grown(this.#openTimesMs);
    this.#opens = grown(this.#opens);
    this.#highs = grown(this.#highs);
    this.#lows = grown(this.#lows);
    this.#closes = grown(this.#closes);
  }
}

function grown(column: Float64Array): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(column.length * 2);
  larger.set(column);
  return larger;
}

export function isoTime(timeMs: number): string {
  const date = new Date(timeMs);
  // A time beyond what a Date can hold is an error in the file that is to be named as it stands there.
  return Number.isNaN(date.getTime()) ? String(timeMs) : date.toISOString();
}

function mostFrequentStep(timesMs: Float64Array): number {
  const runs = new Map<number, number>();
  let step = NaN;
  let run = 0;
  const count = (): void => {
    if (run > 0) runs.set(step, (runs.get(step) ?? 0) + run);
  };
  for (let index = 1; index < timesMs.length; index += 1) {
    const next = (timesMs[index] ?? NaN) - (timesMs[index - 1] ?? NaN);
    if (next !== step) {
      count();
      step = next;
      run = 0;
    }
    run += 1;
  }
  count();
  return [...runs].reduce((best, each) => (each[1] > best[1] ? each : best), [0, 0])[0];
}

/** Throws when a candle does not lie on the grid that most candles keep. */
function findGaps(timesMs: Float64Array, intervalMs: number): readonly Gap[] {
  const gaps: Gap[] = [];
  for (let index = 1; index < timesMs.length; index += 1) {
    const timeMs = timesMs[index] ?? NaN;
    const beforeMs = timesMs[index - 1] ?? NaN;
    if (timeMs - beforeMs === intervalMs) continue;
    const missing = (timeMs - beforeMs) / intervalMs - 1;
    if (!Number.isInteger(missing)) throw new OffGridError(index, timeMs, intervalMs);
    gaps.push({ index, missing, fromMs: beforeMs + intervalMs });
  }
  return gaps;
}

/** A candle between two steps of the grid. */
export class OffGridError extends Error {
  readonly index: number;

  constructor(index: number, timeMs: number, intervalMs: number) {
    super(
      `disorder: ${isoTime(timeMs)} is not a multiple of ${intervalMs / 1_000} s, the candles' interval, after the one before`,
    );
    this.name = "OffGridError";
    this.index = index;
  }
}
