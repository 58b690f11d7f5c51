import { expect, test } from "vitest";
import { sharpeRatio } from "./statistics.ts";

test.for<[name: string, days: [day: string, pnl: number][], expected: number | null]>([
  ["no trades", [], null],
  ["one day", [["2026-01-01", 5]], null],
  [
    "days alike",
    [
      ["2026-01-01", 5],
      ["2026-01-02", 5],
    ],
    null,
  ],
  [
    "days alike but for rounding",
    [
      ["2026-01-01", 0.1],
      ["2026-01-02", 0.1],
      ["2026-01-03", 0.1],
    ],
    null,
  ],
  // Mean 2, sample deviation √8: 0.70711 × √365.
  [
    "two days",
    [
      ["2026-01-01", 4],
      ["2026-01-02", 0],
    ],
    13.50926,
  ],
  [
    "a loss",
    [
      ["2026-01-01", -4],
      ["2026-01-02", 0],
    ],
    -13.50926,
  ],
  // 3, 0, 0 over a month's end: mean 1, sample deviation √3.
  [
    "idle days between",
    [
      ["2026-01-31", 3],
      ["2026-02-02", 0],
    ],
    11.03026,
  ],
])("%s", ([, days, expected]) => {
  const ratio = sharpeRatio(days.map(([day, pnl]) => ({ day, pnl })));
  expect(ratio === null ? null : Number(ratio.toFixed(5))).toBe(expected);
});
