import type { Candle, CandleSeries } from "../../../hack/exchange-simulator/candles.ts";

/**
 * What a candle does. `quiet`: swings that no strategy minds. `drop`: the close that makes rsi(2) buy. `rise`: the close that
 * makes it leave. `fall` and `soar`: a wick through the stop or the target, and a close where it came from.
 */
export type TapeEvent = "quiet" | "drop" | "rise" | "fall" | "soar";

/** The parameters under which the tape means what it says. */
export const TAPE_STRATEGY = {
  name: "rsi",
  params: { period: 2, buyBelow: 10, sellAbove: 90, direction: "long" },
};
/** Percent of the price: within the wicks' reach, beyond all else. */
export const TAPE_LEVELS = { stopLossPercent: 3, takeProfitPercent: 3 };

export const CANDLE_MS = 60_000;
/** An hour of history, then one until funding; no case passes midnight (UTC), which is funding too. */
const FIRST_START = Date.parse("2025-06-20T14:00:00Z");
export const FUNDING_MS = Date.parse("2025-06-20T16:00:00Z");
const FIRST_PRICE = 100_000;
/** USDT. One signal candle moves twelve times as far as a quiet one: RSI(2) goes below 10 or above 90, and back at once. */
const SWING = 5;
const SIGNAL = 60;
/** Share of the price; the levels lie at 3 %. */
const WICK = 0.04;
export const HISTORY_CANDLES = 60;
/** More than any case plays. */
const FUTURE_CANDLES = 500;

/** A market whose future is quiet until something else is written into it. */
export class Tape {
  readonly series: CandleSeries;
  readonly #candles: Candle[];

  /** `symbol` as the exchange calls it. */
  constructor(symbol: string) {
    this.#candles = [];
    this.series = { symbol, intervalMs: CANDLE_MS, candles: this.#candles };
    for (let index = 0; index < HISTORY_CANDLES + FUTURE_CANDLES; index += 1) {
      this.#candles.push(this.#draw(index, "quiet"));
    }
  }

  /** Makes something of the candle that opens next, and draws those after it anew. `played`: candles that were opened. */
  write(event: TapeEvent, played: number): void {
    const first = HISTORY_CANDLES + played;
    this.#candles[first] = this.#draw(first, event);
    for (let index = first + 1; index < this.#candles.length; index += 1) {
      this.#candles[index] = this.#draw(index, "quiet");
    }
  }

  #draw(index: number, event: TapeEvent): Candle {
    const before = this.#candles[index - 1];
    const open = Number(before?.close ?? FIRST_PRICE);
    // A quiet candle turns back from the one before: no index stays beyond its threshold.
    const swing = before !== undefined && open > Number(before.open) ? -SWING : SWING;
    const moves = { quiet: swing, fall: swing, soar: swing, drop: -SIGNAL, rise: SIGNAL };
    const close = open + moves[event];
    const low = event === "fall" ? open * (1 - WICK) : Math.min(open, close) - 1;
    const high = event === "soar" ? open * (1 + WICK) : Math.max(open, close) + 1;
    return {
      start: FIRST_START + index * CANDLE_MS,
      open: open.toFixed(1),
      high: high.toFixed(1),
      low: low.toFixed(1),
      close: close.toFixed(1),
      volume: "10",
    };
  }
}
