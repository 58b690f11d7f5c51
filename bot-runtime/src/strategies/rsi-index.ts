/**
 * Relative strength index as TA-Lib defines it (ta_RSI.c, https://github.com/TA-Lib/ta-lib/blob/main/src/ta_func/ta_RSI.c;
 * J. W. Wilder, New Concepts in Technical Trading Systems, 1978):
 *
 * - gain and loss of a close are its rise and fall against the close before, never negative;
 * - the first averages are the plain means of the first `period` gains and losses, so the first value belongs to close
 *   number `period` + 1;
 * - each later average is (previous × (period − 1) + current) / period;
 * - RSI = 100 × (averageGain / (averageGain + averageLoss)), rounded in this order, and 0 where both are zero (TA-Lib's choice for a flat series).
 */
export class RsiIndex {
  readonly #period: number;
  /** Closes seen, counted to period + 1 and no further. */
  #seen = 0;
  #close = Number.NaN;
  /** Sums until `period` changes are seen, averages from then on. */
  #gain = 0;
  #loss = 0;

  constructor(period: number) {
    this.#period = period;
  }

  /** Takes the next close. Gives the index, 0–100, or NaN before `period` changes are seen. */
  next(close: number): number {
    const change = close - this.#close;
    const gain = change > 0 ? change : 0;
    const loss = change < 0 ? -change : 0;
    this.#close = close;
    if (this.#seen <= this.#period) return this.#seed(gain, loss);
    const period = this.#period;
    const kept = period - 1;
    this.#gain = (this.#gain * kept + gain) / period;
    this.#loss = (this.#loss * kept + loss) / period;
    return this.#value();
  }

  /** The first close has no change: against NaN both gain and loss come out as 0. */
  #seed(gain: number, loss: number): number {
    this.#seen += 1;
    this.#gain += gain;
    this.#loss += loss;
    if (this.#seen <= this.#period) return Number.NaN;
    this.#gain /= this.#period;
    this.#loss /= this.#period;
    return this.#value();
  }

  #value(): number {
    const sum = this.#gain + this.#loss;
    return sum === 0 ? 0 : 100 * (this.#gain / sum);
  }
}
