import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { Risk } from "@tradingbots/crds";
import { describe, expect, test } from "vitest";
import { amount, Decimal, price } from "../money.ts";
import { runBacktest } from "./backtest.ts";
import { readCandleFile } from "./candle-file.ts";
import { buildReport } from "./report.ts";

const RECORDED = fileURLToPath(
  new URL("../../../hack/exchange-simulator/candles/", import.meta.url),
);

/** One row of a file as text: [openTime, open, high, low, close]. */
type Row = readonly string[];

interface Settings {
  readonly period: number;
  readonly buyBelow: number;
  readonly sellAbove: number;
  readonly direction: "long" | "short" | "both";
  readonly stop: number;
  readonly target: number;
  readonly fee: string;
  readonly tick: string | undefined;
}

/** RSI of every close, straight from the definition, NaN before it exists. */
function relativeStrength(closes: readonly number[], period: number): number[] {
  const values: number[] = [];
  let [gain, loss] = [0, 0];
  for (const [index, close] of closes.entries()) {
    const change = close - (closes[index - 1] ?? close);
    const [up, down] = [Math.max(change, 0), Math.max(-change, 0)];
    if (index <= period) {
      gain += up / period;
      loss += down / period;
    } else {
      gain += (up - gain) / period;
      loss += (down - loss) / period;
    }
    values.push(index < period ? NaN : gain + loss === 0 ? 0 : 100 - 100 / (1 + gain / loss));
  }
  return values;
}

/**
 * The rules a second time, by somebody who knows only the text of them: whole rows, every number an arbitrary-precision decimal,
 * every trade followed from its entry to its end, no state between bars.
 */
function naiveTrades(rows: readonly Row[], settings: Settings): Record<string, string>[] {
  const at = (bar: number, column: number): Decimal => new Decimal(rows[bar]?.[column] ?? NaN);
  const strength = relativeStrength(
    rows.map((row) => Number(row[4])),
    settings.period,
  );
  const isWeak = (bar: number): boolean => (strength[bar] ?? NaN) < settings.buyBelow;
  const isStrong = (bar: number): boolean => (strength[bar] ?? NaN) > settings.sellAbove;
  const rounded = (level: Decimal): Decimal =>
    settings.tick === undefined
      ? level
      : level.div(settings.tick).toDecimalPlaces(0, Decimal.ROUND_HALF_UP).times(settings.tick);
  const trades: Record<string, string>[] = [];
  const last = rows.length - 1;
  let signalBar = 0;
  while (signalBar < last) {
    const long = isWeak(signalBar) && settings.direction !== "short";
    const short = isStrong(signalBar) && settings.direction !== "long";
    if (!long && !short) {
      signalBar += 1;
      continue;
    }
    const entryBar = signalBar + 1;
    const sign = long ? 1 : -1;
    const entry = at(entryBar, 1);
    const stop = rounded(
      entry.times(new Decimal(1).minus(new Decimal(sign).times(settings.stop).div(100))),
    );
    const target = rounded(
      entry.times(new Decimal(1).plus(new Decimal(sign).times(settings.target).div(100))),
    );
    const lost = (seen: Decimal): boolean => (long ? seen.lte(stop) : seen.gte(stop));
    const won = (seen: Decimal): boolean => (long ? seen.gte(target) : seen.lte(target));
    const wantsOut = (bar: number): boolean => (long ? isStrong(bar) : isWeak(bar));
    const [worst, best] = long ? [3, 2] : [2, 3];
    let exit: { bar: number; price: Decimal; reason: string } | undefined;
    for (let bar = entryBar; exit === undefined; bar += 1) {
      if (bar > last) exit = { bar: last, price: at(last, 4), reason: "end" };
      else if (bar > entryBar && wantsOut(bar - 1))
        exit = { bar, price: at(bar, 1), reason: "signal" };
      else if (bar > entryBar && lost(at(bar, 1)))
        exit = { bar, price: at(bar, 1), reason: "stop" };
      else if (bar > entryBar && won(at(bar, 1)))
        exit = { bar, price: at(bar, 1), reason: "target" };
      else if (lost(at(bar, worst))) exit = { bar, price: stop, reason: "stop" };
      else if (won(at(bar, best))) exit = { bar, price: target, reason: "target" };
    }
    const exitValue = exit.price.times(1_000).div(entry);
    const fees = exitValue.plus(1_000).times(settings.fee).div(100);
    const pnl = exitValue.minus(1_000).times(sign).minus(fees);
    const time = (bar: number): string => new Date(Number(rows[bar]?.[0])).toISOString();
    trades.push({
      side: long ? "long" : "short",
      entryTime: time(entryBar),
      entryPrice: entry.toFixed(),
      exitTime: time(exit.bar),
      exitPrice: exit.price.toFixed(),
      reason: exit.reason,
      pnl: pnl.toFixed(12),
    });
    // Ended at the bar's open by a signal, or within it: its own close is the next that may ask to enter.
    signalBar = exit.bar;
  }
  return trades;
}

const base: Settings = {
  period: 14,
  buyBelow: 30,
  sellAbove: 70,
  direction: "long",
  stop: 1,
  target: 2,
  fee: "0.055",
  tick: undefined,
};

describe("equals the rules written down a second time, trade by trade", async () => {
  const files = (await readdir(RECORDED)).filter((name) => name.endsWith(".csv.gz"));
  const cases: readonly [string, Settings][] = [
    ["the documented command", base],
    ["rounded to the tick", { ...base, tick: "0.1", stop: 0.3, target: 0.4 }],
    ["short", { ...base, direction: "short", stop: 0.2, target: 0.35 }],
    ["both ways", { ...base, direction: "both", period: 7, stop: 0.25, target: 0.25, fee: "0" }],
    [
      "a fast index, odd levels",
      { ...base, direction: "both", period: 2, stop: 0.137, target: 0.213, tick: "0.05" },
    ],
  ];
  test.each(
    files.flatMap((file) => cases.map(([name, settings]) => [file, name, settings] as const)),
  )("%s: %s", async (...[file, , settings]) => {
    const text = gunzipSync(await readFile(join(RECORDED, file))).toString("utf8");
    const rows = text
      .trimEnd()
      .split("\n")
      .slice(1)
      .map((line) => line.split(","));
    const { period, buyBelow, sellAbove, direction, stop, target, fee, tick } = settings;
    const input = {
      candles: await readCandleFile(join(RECORDED, file)),
      strategy: { name: "rsi", params: { period, buyBelow, sellAbove, direction } },
      risk: { ...Risk.parse({}), stopLossPercent: stop, takeProfitPercent: target },
      sizing: { kind: "notional", notional: amount("1000") } as const,
      feePercent: new Decimal(fee),
      tick: tick === undefined ? undefined : price(tick),
    };
    const { trades } = buildReport(input, runBacktest(input));
    const wanted = naiveTrades(rows, settings);
    expect(wanted.length).toBeGreaterThan(50);
    const seen = trades.map(({ quantity: _quantity, fees: _fees, ...trade }) => ({
      ...trade,
      pnl: new Decimal(trade.pnl).toFixed(12),
    }));
    expect(seen).toEqual(wanted);
  });
});
