import type { Timeframe } from "@tradingbots/crds";

const MINUTE_MS = 60_000;

const minutes: Readonly<Record<Timeframe, number>> = {
  "1m": 1,
  "3m": 3,
  "5m": 5,
  "15m": 15,
  "30m": 30,
  "1h": 60,
  "4h": 240,
  "1d": 1_440,
};

/** Length of a candle in ms. */
export function timeframeMs(timeframe: Timeframe): number {
  return minutes[timeframe] * MINUTE_MS;
}
