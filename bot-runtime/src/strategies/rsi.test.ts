import { RsiParams } from "@tradingbots/crds";
import { describe, expect, test } from "vitest";
import { RsiIndex } from "./rsi-index.ts";
import { RsiStrategy } from "./rsi.ts";
import { propose, startStrategy } from "./start-strategy.ts";
import type { Proposal } from "./strategy.ts";

/** StockCharts ChartSchool, "Relative Strength Index (RSI)", spreadsheet example cs-rsi.xls (closes of QQQQ, 14 periods). */
const PUBLISHED_CLOSES = [
  44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955, 45.4245, 45.8433, 46.0826, 45.8931,
  46.0328, 45.614, 46.282, 46.282, 46.0028, 46.0328, 46.4116, 46.2222, 45.6439, 46.2122, 46.2521,
  45.7137, 46.4515, 45.7835, 45.3548, 44.0288, 44.1783, 44.2181, 44.5672, 43.4205, 42.6628, 43.1314,
];
const PUBLISHED_RSI = [
  70.53, 66.32, 66.55, 69.41, 66.36, 57.97, 62.93, 63.26, 56.06, 62.38, 54.71, 50.42, 39.99, 41.46,
  41.87, 45.46, 37.3, 33.08, 37.77,
];

function indexes(closes: readonly number[], period: number): number[] {
  const index = new RsiIndex(period);
  return closes.map((close) => index.next(close));
}

/** Straight from the definition, each value from the start of the series. */
function naiveRsi(closes: readonly number[], period: number): number {
  if (closes.length <= period) return Number.NaN;
  const changes = closes.slice(1).map((close, index) => close - (closes[index] ?? Number.NaN));
  const average = (values: readonly number[]) => {
    const seed = values.slice(0, period).reduce((sum, each) => sum + each, 0) / period;
    return values.slice(period).reduce((mean, each) => (mean * (period - 1) + each) / period, seed);
  };
  const gain = average(changes.map((change) => Math.max(change, 0)));
  const loss = average(changes.map((change) => Math.max(-change, 0)));
  return gain + loss === 0 ? 0 : 100 * (gain / (gain + loss));
}

describe("the index", () => {
  test("equals a published example to its two places", () => {
    const values = indexes(PUBLISHED_CLOSES, 14);
    expect(values.slice(0, 14)).toEqual(Array.from({ length: 14 }, () => NaN));
    const rounded = values.slice(14).map((value) => Number(value.toFixed(2)));
    rounded.forEach((value, index) => expect(value).toBeCloseTo(PUBLISHED_RSI[index] ?? NaN, 1));
  });

  test("equals hand-made values", () => {
    // Changes +1, −1, +2: first averages 0.5 and 0.5, then (0.5 + 2) / 2 = 1.25 and 0.25: 100 × 1.25 / 1.5.
    expect(indexes([10, 11, 10, 12], 2)).toEqual([NaN, NaN, 50, 100 * (1.25 / 1.5)]);
    expect(indexes([5, 5, 5, 5], 2)).toEqual([NaN, NaN, 0, 0]);
    expect(indexes([1, 2, 3, 4], 2)).toEqual([NaN, NaN, 100, 100]);
    expect(indexes([4, 3, 2, 1], 2)).toEqual([NaN, NaN, 0, 0]);
  });

  test.each([2, 9, 14, 50])(
    "equals the definition over a long walk to the last bit, period %i",
    (period) => {
      let close = 100;
      const closes = Array.from({ length: 400 }, (_, index) => {
        close += Math.sin(index * 1.7) * 3 + Math.cos(index * 0.31) * 2;
        return close;
      });
      const values = indexes(closes, period);
      expect(values.findIndex((value) => !Number.isNaN(value))).toBe(period);
      values.slice(period).forEach((value, index) => {
        expect(value).toBe(naiveRsi(closes.slice(0, period + index + 1), period));
      });
    },
  );
});

/** The proposal after a seed of two changes that gives exactly `index` at period 2. */
function proposalAt(index: number, params: Record<string, unknown> = {}): Proposal {
  const strategy = startStrategy({ name: "rsi", params: { period: 2, ...params } });
  strategy.decide({ openTimeMs: 0, close: 1_000 });
  strategy.decide({ openTimeMs: 1, close: 1_000 + index });
  return propose(strategy, { openTimeMs: 2, close: 1_000 + index - (100 - index) });
}

describe("proposals", () => {
  test.each<[string, number, Record<string, unknown>, Partial<Proposal>]>([
    [
      "between the thresholds: nothing",
      50,
      {},
      { enter: undefined, exit: undefined, confidence: 0, note: "" },
    ],
    ["at the lower threshold: nothing", 30, {}, { enter: undefined, exit: undefined }],
    ["at the upper threshold: nothing", 70, {}, { enter: undefined, exit: undefined }],
    [
      "weak: long in, short out",
      15,
      {},
      { enter: "long", exit: "short", confidence: 80, note: "RSI 15.00 below 30" },
    ],
    ["strong: short in, long out", 85, {}, { enter: "short", exit: "long", confidence: 80 }],
    ["deepest", 0, {}, { enter: "long", confidence: 100 }],
    [
      "strong, long only: only out",
      85,
      { direction: "long" },
      { enter: undefined, exit: "long", confidence: 0 },
    ],
    ["weak, short only: only out", 15, { direction: "short" }, { enter: undefined, exit: "short" }],
    ["unconfirmed: only out", 15, { confirmPeriod: 9 }, { enter: undefined, exit: "short" }],
    ["confirmed", 15, { confirmPeriod: 2 }, { enter: "long", exit: "short" }],
    ["own thresholds", 45, { buyBelow: 50 }, { enter: "long", confidence: 64 }],
  ])("%s", (...[, index, params, wanted]) => {
    const { confidence, ...sides } = wanted;
    const proposal = proposalAt(index, params);
    expect(proposal).toMatchObject(sides);
    expect(proposal.confidence).toBeCloseTo(confidence ?? proposal.confidence, 9);
  });

  test("the default minimum confidence lets every signal pass", () => {
    expect(proposalAt(29.99).confidence).toBeGreaterThanOrEqual(60);
    expect(proposalAt(70.01).confidence).toBeGreaterThanOrEqual(60);
  });

  test("a decision follows from the bars alone: two strategies that saw the same agree", () => {
    const params = RsiParams.parse({ period: 3, confirmPeriod: 2 });
    const [one, other] = [new RsiStrategy(params), new RsiStrategy(params)];
    // The second is shown one object whose numbers change.
    const reused = { openTimeMs: 0, close: 0 };
    const signals = PUBLISHED_CLOSES.map((close, index) => {
      const proposal = propose(one, { openTimeMs: index, close });
      Object.assign(reused, { openTimeMs: index, close });
      expect(propose(other, reused)).toEqual(proposal);
      // Asking why changes nothing.
      expect(one.explain()).toEqual(other.explain());
      return proposal.exit;
    });
    expect(new Set(signals)).toEqual(new Set([undefined, "long", "short"]));
  });
});

test.each([
  [{ name: "macd", params: {} }, "strategy macd does not exist; choose one of: rsi"],
  [{ name: "rsi", params: { period: 1 } }, "strategy parameter period"],
  [{ name: "rsi", params: { buyBelow: 80 } }, "buyBelow must be below sellAbove"],
])("%j is refused with a sentence", (chosen, message) => {
  expect(() => startStrategy(chosen)).toThrow(message);
});
