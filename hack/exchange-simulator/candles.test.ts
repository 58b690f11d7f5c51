import { expect, test } from "vitest";
import { aggregate, parseCandles, parseInterval } from "./candles.ts";

const HEADER = "openTime,open,high,low,close,volume";
const name = { symbol: "ETHUSDT", intervalMs: 60_000, name: "file" };

function csv(...rows: readonly string[]): string {
  return [HEADER, ...rows, ""].join("\n");
}

test.for<[name: string, text: string, message: RegExp]>([
  ["another header", "time,open\n1,2\n", /expected the header/],
  ["no rows", HEADER, /no candles/],
  ["a missing column", csv("60000,1,2,1,2"), /file:2: expected 6 columns/],
  [
    "a gap",
    csv("60000,1,2,1,2,0", "180000,1,2,1,2,0"),
    /1970-01-01T00:02:00.000Z \(gap or disorder\)/,
  ],
  ["an open above the high", csv("60000,3,2,1,2,0"), /impossible candle/],
  ["words for prices", csv("60000,a,b,c,d,e"), /impossible candle/],
  ["a start off the interval", csv("60001,1,2,1,2,0"), /multiple of the interval/],
])("candles refuse %s", ([, text, message]) => {
  expect(() => parseCandles(text, name)).toThrow(message);
});

test("candles keep the recorded strings", () => {
  const series = parseCandles(csv("60000,1.10,2.0,1.00,1.5,0.300"), name);
  expect(series.candles).toEqual([
    { start: 60_000, open: "1.10", high: "2.0", low: "1.00", close: "1.5", volume: "0.300" },
  ]);
});

test("buckets are aligned to UTC, exact in volume, and only whole", () => {
  const rows = [2, 3, 4, 5, 6].map(
    (minute) => `${minute * 60_000},${minute},${minute + 1},${minute},${minute + 1},0.1`,
  );
  const series = aggregate(parseCandles(csv(...rows), name), 3 * 60_000);
  expect(series.candles).toEqual([
    { start: 180_000, open: "3", high: "6", low: "3", close: "6", volume: "0.3" },
  ]);
});

test("intervals", () => {
  expect(["1m", "5m", "1h"].map(parseInterval)).toEqual([60_000, 300_000, 3_600_000]);
  expect(() => parseInterval("1d")).toThrow("1d is not like 1m");
});
