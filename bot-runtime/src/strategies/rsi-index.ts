/**
 * Relative strength index as TA-Lib defines it (ta_RSI.c, https://github.com/TA-Lib/ta-lib/blob/main/src/ta_func/ta_RSI.c;
 * J. W. Wilder, New Concepts in Technical Trading Systems, 1978):
 *
 * - gain and loss of a close are its rise and fall against the close before, never negative;
 * - the first averages are the plain means of the first `period` gains and losses, so the first value belongs to close
 *   number `period` + 1;
 * - each later average is (previous × (period − 1) + current) / period;
 * - RSI = 100 × averageGain / (averageGain + averageLoss), and 0 where both are zero (TA-Lib's choice for a flat series).
 */
export interface RsiState {
  /** Closes seen, counted to period + 1 and no further. */
  readonly seen: number;
  readonly close: number;
  /** Sums until `period` changes are seen, averages from then on. */
  readonly gain: number;
  readonly loss: number;
}

export const RSI_START: RsiState = { seen: 0, close: Number.NaN, gain: 0, loss: 0 };

export function nextRsi(state: RsiState, close: number, period: number): RsiState {
  if (state.seen === 0) return { seen: 1, close, gain: 0, loss: 0 };
  const change = close - state.close;
  const gain = change > 0 ? change : 0;
  const loss = change < 0 ? -change : 0;
  if (state.seen > period) {
    const kept = period - 1;
    return {
      seen: state.seen,
      close,
      gain: (state.gain * kept + gain) / period,
      loss: (state.loss * kept + loss) / period,
    };
  }
  const seen = state.seen + 1;
  const gains = state.gain + gain;
  const losses = state.loss + loss;
  // The last change of the seed turns the sums into means.
  const divisor = seen > period ? period : 1;
  return { seen, close, gain: gains / divisor, loss: losses / divisor };
}

/** 0–100; undefined before `period` changes are seen. */
export function rsiValue(state: RsiState, period: number): number | undefined {
  if (state.seen <= period) return undefined;
  const sum = state.gain + state.loss;
  return sum === 0 ? 0 : (100 * state.gain) / sum;
}
