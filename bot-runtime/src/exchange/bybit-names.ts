import type { Timeframe } from "@tradingbots/crds";

// https://bybit-exchange.github.io/docs/v5/enum#interval
const intervals: Readonly<Record<Timeframe, string>> = {
  "1m": "1",
  "3m": "3",
  "5m": "5",
  "15m": "15",
  "30m": "30",
  "1h": "60",
  "4h": "240",
  "1d": "D",
};

/** Bybit's name of a timeframe. */
export function bybitInterval(timeframe: Timeframe): string {
  return intervals[timeframe];
}

/** The only category of contracts that a bot trades. */
export const CATEGORY = "linear";

/** BTCUSDT for BTC/USDT:USDT. */
export function bybitSymbol(symbol: string): string {
  const [pair = symbol] = symbol.split(":");
  return pair.replace("/", "");
}

/** Names a symbol as Bybit does: also one that was delisted, whose position may still be there. */
export function request(symbol: string): { category: string; symbol: string } {
  return { category: CATEGORY, symbol: bybitSymbol(symbol) };
}
