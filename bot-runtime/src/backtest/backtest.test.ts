import { Risk } from "@tradingbots/crds";
import { describe, expect, test } from "vitest";
import { amount, Decimal, price, quantity } from "../money.ts";
import { type BacktestInput, runBacktest } from "./backtest.ts";
import { CandleCsvParser } from "./candle-csv.ts";
import type { CandleTable } from "./candle-table.ts";
import { buildReport } from "./report.ts";

/** open, high, low, close */
type Bar = readonly [number, number, number, number];

const MINUTE_MS = 60_000;

function tableOf(bars: readonly Bar[]): CandleTable {
  const parser = new CandleCsvParser("test.csv");
  const lines = bars.map((bar, index) => [index * MINUTE_MS, ...bar, 1].join());
  parser.push(Buffer.from(["openTime,open,high,low,close,volume", ...lines].join("\n")));
  return parser.end();
}

/**
 * Period 2 needs three closes. 100, 99, 98 gives RSI 0 at bar 2: long at the open of bar 3. At 100, 101, 102 it is 100: short.
 * Flat bars: nothing happens inside them.
 */
const FALL: readonly Bar[] = [100, 99, 98].map((close) => [close, close, close, close]);
const RISE: readonly Bar[] = [100, 101, 102].map((close) => [close, close, close, close]);

function inputOf(bars: readonly Bar[], change: Partial<BacktestInput> = {}): BacktestInput {
  return {
    candles: tableOf(bars),
    strategy: { name: "rsi", params: { period: 2 } },
    risk: Risk.parse({ stopLossPercent: 10, takeProfitPercent: 20 }),
    sizing: { kind: "notional", notional: amount("1000") },
    feePercent: new Decimal("0.1"),
    tick: undefined,
    ...change,
  };
}

function report(bars: readonly Bar[], change: Partial<BacktestInput> = {}) {
  const input = inputOf(bars, change);
  return buildReport(input, runBacktest(input));
}

const bar = (time: string): number => Date.parse(time) / MINUTE_MS;

/** "long 3@100 4@90 stop -101.9": bars and prices of entry and exit. */
function story(bars: readonly Bar[], change: Partial<BacktestInput> = {}): string[] {
  return report(bars, change).trades.map(
    ({ side, entryTime, entryPrice, exitTime, exitPrice, reason, pnl }) =>
      `${side} ${bar(entryTime)}@${entryPrice} ${bar(exitTime)}@${exitPrice} ${reason} ${pnl}`,
  );
}

/** Long at 100 with stop 90 and target 120; 0.1 % of 1,000 at the entry. The close of 98 lets no exit signal come. */
const AT_100: Bar = [100, 100, 97, 97];

describe("long", () => {
  test.each<[string, readonly Bar[], readonly string[]]>([
    // −10 % of 1,000, fees 1 + 0.9.
    [
      "the stop inside a bar fills at the stop",
      [AT_100, [97, 97, 85, 95]],
      ["long 3@100 4@90 stop -101.9"],
    ],
    ["touching the stop is enough", [AT_100, [97, 97, 90, 95]], ["long 3@100 4@90 stop -101.9"]],
    [
      "a hair above the stop is not",
      [AT_100, [97, 97, 90.000001, 95]],
      ["long 3@100 4@95 end -51.95"],
    ],
    [
      "touching the target is enough",
      [AT_100, [97, 120, 97, 97]],
      ["long 3@100 4@120 target 197.8"],
    ],
    [
      "a hair below the target is not",
      [AT_100, [97, 119.999999, 97, 97]],
      ["long 3@100 4@97 end -31.97"],
    ],
    [
      "both touched: the stop was first",
      [AT_100, [97, 121, 89, 97]],
      ["long 3@100 4@90 stop -101.9"],
    ],
    ["stop in the entry's own bar", [[100, 100, 89, 97]], ["long 3@100 3@90 stop -101.9"]],
    ["target in the entry's own bar", [[100, 125, 97, 97]], ["long 3@100 3@120 target 197.8"]],
    [
      "a gap below the stop fills at the open",
      [AT_100, [80, 97, 80, 90]],
      ["long 3@100 4@80 stop -201.8"],
    ],
    [
      "a gap above the target fills at the open",
      [AT_100, [130, 130, 120, 125]],
      ["long 3@100 4@130 target 297.7"],
    ],
    [
      "a gap to the target comes before the stop inside",
      [AT_100, [130, 130, 80, 97]],
      ["long 3@100 4@130 target 297.7"],
    ],
    ["opening exactly at the stop", [AT_100, [90, 97, 90, 97]], ["long 3@100 4@90 stop -101.9"]],
    [
      "open at the end: closes at the last close",
      [AT_100, [97, 99, 95, 96]],
      ["long 3@100 4@96 end -41.96"],
    ],
    ["entered in the last bar", [[100, 101, 99, 101]], ["long 3@100 3@101 end 7.99"]],
    // RSI 2 after 98, 97, 110 is far above 70: out at the open of bar 5.
    [
      "a signal exit fills at the next open",
      [AT_100, [97, 110, 97, 110], [108, 110, 105, 110]],
      ["long 3@100 5@108 signal 77.92"],
    ],
    [
      "a signal exit precedes stop and target in its bar",
      [AT_100, [97, 110, 97, 110], [80, 130, 70, 110]],
      ["long 3@100 5@80 signal -201.8"],
    ],
    [
      "an exit signal at the last close is too late",
      [AT_100, [97, 110, 97, 110]],
      ["long 3@100 4@110 end 97.9"],
    ],
    // The stop ends it in bar 4, whose close (80) asks for a long again: in at the open of bar 5.
    [
      "flat at the close: may enter on the same bar",
      [AT_100, [97, 97, 80, 80], [80, 81, 79, 80]],
      ["long 3@100 4@90 stop -101.9", "long 5@80 5@80 end -2"],
    ],
    [
      "no second entry while one is held",
      [AT_100, [97, 97, 95, 95], [95, 95, 94, 94]],
      ["long 3@100 5@94 end -61.94"],
    ],
  ])("%s", (...[, bars, wanted]) => {
    expect(
      story([...FALL, ...bars], {
        strategy: { name: "rsi", params: { period: 2, direction: "long" } },
      }),
    ).toEqual(wanted);
  });
});

describe("short", () => {
  // Short at 100 with stop 110 and target 80.
  const at100: Bar = [100, 103, 100, 103];
  test.each<[string, readonly Bar[], readonly string[]]>([
    ["the stop is above", [at100, [103, 115, 103, 105]], ["short 3@100 4@110 stop -102.1"]],
    ["the target is below", [at100, [103, 103, 75, 103]], ["short 3@100 4@80 target 198.2"]],
    ["touching either is enough", [at100, [103, 110, 80, 103]], ["short 3@100 4@110 stop -102.1"]],
    ["a gap above the stop", [at100, [120, 120, 105, 105]], ["short 3@100 4@120 stop -202.2"]],
    ["a gap below the target", [at100, [70, 112, 70, 103]], ["short 3@100 4@70 target 298.3"]],
    [
      "a signal exit",
      [at100, [103, 103, 90, 90], [92, 95, 75, 92]],
      ["short 3@100 5@92 signal 78.08"],
    ],
  ])("%s", (...[, bars, wanted]) => {
    expect(
      story([...RISE, ...bars], {
        strategy: { name: "rsi", params: { period: 2, direction: "short" } },
      }),
    ).toEqual(wanted);
  });
});

test("the candle whose signal closes a position opens none, the next one may", () => {
  const bars: readonly Bar[] = [
    ...FALL,
    AT_100,
    [97, 110, 97, 110],
    [110, 112, 110, 112],
    [112, 112, 111, 112],
  ];
  expect(story(bars)).toEqual(["long 3@100 5@110 signal 97.9", "short 6@112 6@112 end -2"]);
});

test("without an account no stop is too far away", () => {
  const risk = { ...Risk.parse({}), stopLossPercent: 99.5, takeProfitPercent: 400, leverage: 100 };
  expect(story([...FALL, AT_100, [97, 97, 0.5, 97]], { risk })).toEqual([
    "long 3@100 4@0.5 stop -996.005",
  ]);
});

describe("levels", () => {
  // In at 100.5: unrounded 97.987…; stop 2.5 % 97.9875, target 5 % 105.525.
  const bars: readonly Bar[] = [...FALL, [100.5, 100.5, 98, 98], [98, 106, 97.9, 98]];
  const risk = Risk.parse({ stopLossPercent: 2.5, takeProfitPercent: 5 });
  test.each<[string, string | undefined, string]>([
    ["none: not rounded", undefined, "97.9875"],
    ["0.1: to the nearest", "0.1", "98"],
    ["0.01: up", "0.01", "97.99"],
    ["0.0001: has its places", "0.0001", "97.9875"],
    ["0.5", "0.5", "98"],
    ["0.015", "0.015", "97.995"],
    ["3", "3", "99"],
    ["40: a half goes up, never below a tick", "65.325", "130.65"],
  ])("tick %s", (...[, tick, wanted]) => {
    const { trades } = report(bars, { risk, tick: tick === undefined ? undefined : price(tick) });
    expect(trades[0]?.reason).toBe("stop");
    expect(trades[0]?.exitPrice).toBe(wanted);
  });

  test("the target is rounded too, a half upwards", () => {
    const up: readonly Bar[] = [...FALL, [100.5, 100.5, 98, 98], [98, 106, 98, 98]];
    const { trades } = report(up, { risk: { ...risk, stopLossPercent: 9 }, tick: price("0.05") });
    expect(trades[0]).toMatchObject({ reason: "target", exitPrice: "105.55" });
  });

  test("exact where doubles err: 1.1 × 1.1 is 1.21, which 1.21 touches", () => {
    // In doubles 1.1 * 1.1 = 1.2100000000000002 lies above 1.21.
    const small: readonly Bar[] = [1, 0.99, 0.98].map((close): Bar => [close, close, close, close]);
    const { trades } = report([...small, [1.1, 1.1, 1.05, 1.05], [1.05, 1.21, 1.05, 1.05]], {
      risk: Risk.parse({ stopLossPercent: 8, takeProfitPercent: 10 }),
      strategy: { name: "rsi", params: { period: 2, sellAbove: 99, direction: "long" } },
    });
    expect(trades[0]).toMatchObject({ reason: "target", exitPrice: "1.21", pnl: "97.9" });
  });
});

describe("the risk gate", () => {
  test("refuses weak signals by name, and counts them", () => {
    const { trades, summary } = report([...FALL, AT_100], {
      risk: Risk.parse({ minConfidence: 100 }),
      strategy: { name: "rsi", params: { period: 2, buyBelow: 60, direction: "long" } },
    });
    // RSI 0 has confidence 100, RSI 50 (a rise as large as the fall) has not.
    expect(trades.length).toBe(1);
    expect(summary.refusals).toEqual([]);
    const weak = report([...[100, 99, 99.9].map((at): Bar => [at, at, at, at]), AT_100], {
      risk: Risk.parse({ minConfidence: 100 }),
      strategy: { name: "rsi", params: { period: 2, buyBelow: 60, direction: "long" } },
    });
    expect(weak.trades).toEqual([]);
    expect(weak.summary.refusals).toEqual([
      { reason: "LowConfidence", count: 2, message: "confidence 68.4 is below minConfidence 100" },
    ]);
  });

  test("a weak signal is refused also after a strong one passed", () => {
    // In by RSI 0, out in the same bar; then RSI 44.4 twice, of which the confidence is 70.4.
    const bars: readonly Bar[] = [...FALL, [100, 100, 89, 98.8], [98.8, 98.8, 98.8, 98.8]];
    const { trades, summary } = report(bars, {
      risk: Risk.parse({ minConfidence: 90, stopLossPercent: 10, takeProfitPercent: 20 }),
      strategy: { name: "rsi", params: { period: 2, buyBelow: 60, direction: "long" } },
    });
    expect(trades.map(({ reason }) => reason)).toEqual(["stop"]);
    expect(summary.refusals).toEqual([
      { reason: "LowConfidence", count: 2, message: "confidence 70.4 is below minConfidence 90" },
    ]);
  });

  test("candles before the start only warm the strategy up", () => {
    const bars: readonly Bar[] = [...FALL, AT_100, [97, 97, 96, 96], [96, 97, 95, 97]];
    expect(story(bars, { fromMs: 3 * MINUTE_MS })).toEqual(["long 4@97 5@97 end -2"]);
  });
});

describe("sized as a bot sizes", () => {
  const sizing = {
    kind: "account",
    balance: amount("10000"),
    market: {
      symbol: "TEST",
      quoteCurrency: "USDT",
      quantityStep: quantity("0.01"),
      minimumQuantity: quantity("0.01"),
      maximumQuantity: quantity("1000"),
      minimumValue: amount("5"),
      maximumLeverage: 100,
    },
  } as const;
  const risk = Risk.parse({
    leverage: 5,
    positionPercent: 10,
    stopLossPercent: 10,
    takeProfitPercent: 10,
    dailyLossPercent: 5,
  });

  test("equity × percent × leverage at the signal's close, cut to the step", () => {
    // 10,000 × 10 % × 5 / 98 = 51.0204…; in at 100, out at 90: −510.2, fees 0.1 % of 5,102 and 4,591.8.
    const { trades } = report([...FALL, AT_100, [97, 97, 85, 95]], { sizing, risk });
    expect(trades[0]).toMatchObject({ quantity: "51.02", fees: "9.6938", pnl: "-519.8938" });
  });

  test("the daily loss ends entries until 00:00 UTC", () => {
    // −519.9 is more than 5 % of 10,000: the falling closes after it open nothing.
    const { trades, summary } = report([...FALL, AT_100, [97, 97, 85, 85], [85, 85, 84, 84]], {
      sizing,
      risk,
    });
    expect(trades.length).toBe(1);
    expect(summary.refusals).toEqual([
      {
        reason: "DailyLoss",
        count: 2,
        message:
          "the day's loss -519.8938 has reached 5 % of 10000: nothing is opened until 00:00 UTC",
      },
    ]);
  });

  test("the next day begins anew, with the equity that is left", () => {
    const day = 1_440;
    const quiet = Array.from({ length: day }, (): Bar => [85, 85, 85, 85]);
    const bars: readonly Bar[] = [
      ...FALL,
      AT_100,
      [97, 97, 85, 85],
      ...quiet,
      [84, 84, 84, 84],
      [84, 84, 84, 84],
    ];
    const { trades } = report(bars, { sizing, risk });
    // The first close of the day: (10,000 − 519.8938) × 10 % × 5 / 85 = 55.7653…
    expect(trades.map(({ quantity: units }) => units)).toEqual(["51.02", "55.76"]);
  });

  test("what is below the least quantity is refused", () => {
    const poor = { ...sizing, balance: amount("1") };
    const { summary } = report([...FALL, AT_100], { sizing: poor, risk });
    expect(summary.refusals.map(({ reason }) => reason)).toEqual(["BelowMinimum"]);
  });
});

test.each<[string, readonly Bar[], number]>([
  // Of five bars; the position opens in bar 3.
  ["stopped inside the next bar: two bars", [AT_100, [97, 97, 85, 95]], 40],
  ["stopped at the next bar's open: one", [AT_100, [85, 86, 84, 85]], 20],
  ["taken at its target at the next bar's open: one", [AT_100, [125, 126, 124, 125]], 20],
  [
    "stopped inside its entry's bar: one",
    [
      [100, 100, 85, 98.5],
      [98.5, 98.5, 98.5, 98.5],
    ],
    20,
  ],
  ["open at the end: two", [AT_100, [97, 97, 97, 97]], 40],
])("share of bars in the market: %s", (_, bars, percent) => {
  const { trades, summary } = report([...FALL, ...bars]);
  expect(trades).toHaveLength(1);
  expect(summary.inMarketPercent).toBe(percent);
});

test("a bar that a signal leaves at its open does not count as in the market", () => {
  const rise = [98, 104, 110].map((close): Bar => [close, close, close, close]);
  const bars = [...FALL, [100, 100, 98, 98] as const, ...rise, [110, 110, 110, 110] as const];
  const strategy = { name: "rsi", params: { period: 2, direction: "long" } };
  expect(story(bars, { strategy })).toEqual(["long 3@100 6@110 signal 97.9"]);
  expect(report(bars, { strategy }).summary.inMarketPercent).toBe(37.5);
});
