/** BTCUSDT for BTC/USDT:USDT. */
export function idOf(symbol: string): string {
  return (symbol.split(":")[0] ?? "").replace("/", "");
}
