import { expect, test } from "vitest";
import type { Candle, CandleSeries } from "./candles.ts";
import { Market } from "./market.ts";

const MINUTE_MS = 60_000;

/** Minute i opens at 100 + i and closes at 101 + i. */
function rising(count: number): CandleSeries {
  const candles = Array.from({ length: count }, (_, i): Candle => {
    const [open, close] = [`${100 + i}`, `${101 + i}`];
    return { start: i * MINUTE_MS, open, high: close, low: open, close, volume: "1" };
  });
  return { symbol: "ETHUSDT", intervalMs: MINUTE_MS, candles };
}

function klines(market: Market, query: Partial<Parameters<Market["klines"]>[0]> = {}) {
  const standard = {
    symbol: "ETHUSDT",
    interval: "1",
    startMs: undefined,
    endMs: undefined,
    limit: 3,
  };
  return market
    .klines({ ...standard, ...query })
    .map(({ start, close, volume }) => `${start / MINUTE_MS}: ${close} ${volume}`);
}

test.for<
  [name: string, query: Partial<Parameters<Market["klines"]>[0]>, expected: readonly string[]]
>([
  [
    "newest first, the candle in progress at the last price",
    {},
    ["7: 107 0", "6: 107 1", "5: 106 1"],
  ],
  [
    "three minutes, in progress with what has been seen",
    { interval: "3", limit: 2 },
    ["6: 107 1", "3: 106 3"],
  ],
  ["from a start on", { startMs: MINUTE_MS, limit: 2 }, ["2: 103 1", "1: 102 1"]],
  ["from a start between candles", { startMs: MINUTE_MS + 1, limit: 1 }, ["2: 103 1"]],
  ["up to an end", { endMs: 4 * MINUTE_MS, limit: 2 }, ["4: 105 1", "3: 104 1"]],
  [
    "between start and end, the newest",
    { startMs: 0, endMs: 4 * MINUTE_MS, limit: 2 },
    ["4: 105 1", "3: 104 1"],
  ],
  ["nothing from the future", { startMs: 8 * MINUTE_MS }, []],
  ["nothing before the recording", { endMs: -1 }, []],
])("klines: %s", ([, query, expected]) => {
  expect(klines(new Market([rising(10)], 7), query)).toEqual(expected);
});

test("a candle is seen in progress when it opens and final when it closes", () => {
  const market = new Market([rising(10)], 5);
  const seen = [];
  for (let half = 0; half < 3; half += 1) {
    market.openCandle();
    seen.push(market.klineUpdate("ETHUSDT", "3"));
    market.closeCandle();
    seen.push(market.klineUpdate("ETHUSDT", "3"));
  }
  const lines = seen.map(
    ({ candle, confirmed }) =>
      `${candle.start / MINUTE_MS} ${candle.volume} ${confirmed ? "final" : "open"}`,
  );
  expect(lines).toEqual(["3 2 open", "3 3 final", "6 0 open", "6 1 open", "6 1 open", "6 2 open"]);
});

test("series that do not cover the same times are refused", () => {
  const other = { ...rising(9), symbol: "BTCUSDT" };
  expect(() => new Market([rising(10), other], 3)).toThrow("BTCUSDT does not cover the same times");
  expect(() => new Market([rising(10)], 10)).toThrow("history must be 1 to 9 candles");
});
