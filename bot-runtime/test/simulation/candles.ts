import type { Candle, CandleSeries } from "../../../hack/exchange-simulator/candles.ts";
import type { Random } from "../../../hack/exchange-simulator/random.ts";

const MINUTE_MS = 60_000;
/** A random walk in ticks of 0.1. */
export function randomCandles(
  random: Random,
  walk: {
    readonly symbol: string;
    readonly count: number;
    /** USDT. */
    readonly price: number;
    readonly firstOpenMs: number;
    /** Share of the price that a candle may move by. */
    readonly swing: number;
  },
): CandleSeries {
  const { symbol, count, price, firstOpenMs } = walk;
  const swing = price * walk.swing;
  const candles: Candle[] = [];
  let open = price;
  for (let index = 0; index < count; index += 1) {
    const close = Math.max(price * 0.8, open + (random() - 0.5) * swing);
    const high = Math.max(open, close) + random() * swing * 0.4;
    const low = Math.min(open, close) - random() * swing * 0.4;
    candles.push({
      start: firstOpenMs + index * MINUTE_MS,
      open: open.toFixed(1),
      high: high.toFixed(1),
      low: low.toFixed(1),
      close: close.toFixed(1),
      volume: "10",
    });
    open = Number(close.toFixed(1));
  }
  return { symbol, intervalMs: MINUTE_MS, candles: candles.map(tidy) };
}

/** Rounding may not push an end of the body out of the range. */
function tidy(candle: Candle): Candle {
  const prices = [candle.open, candle.high, candle.low, candle.close].map(Number);
  const [high, low] = [Math.max(...prices).toFixed(1), Math.min(...prices).toFixed(1)];
  return { ...candle, high, low };
}
