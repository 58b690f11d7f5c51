import { readFileSync, writeFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

/** Columns of candles as doubles, oldest first. */
export interface BareCandles {
  readonly length: number;
  readonly opens: Float64Array;
  readonly highs: Float64Array;
  readonly lows: Float64Array;
  readonly closes: Float64Array;
}

/** Rules of a bare run, with shares instead of percents: 0.01 is 1 %. */
export interface BareRules {
  readonly period: number;
  readonly buyBelow: number;
  readonly sellAbove: number;
  readonly stop: number;
  readonly target: number;
  readonly fee: number;
  readonly notional: number;
}

export interface BareResult {
  readonly trades: number;
  readonly pnl: number;
  readonly maxDrawdown: number;
}

/**
 * The baseline of the backtest's speed: the same rules for a long in one synchronous loop over doubles, nothing else. No strategy
 * to choose, no gate, no exact money, no list of trades.
 */
export function bareBacktest(candles: BareCandles, rules: BareRules): BareResult {
  const { opens, highs, lows, closes, length } = candles;
  const { period, buyBelow, sellAbove, stop, target, fee, notional } = rules;
  let [gain, loss, before] = [0, 0, closes[0] ?? NaN];
  let [held, entering, leaving] = [false, false, false];
  let [entry, stopAt, targetAt] = [0, 0, 0];
  let [trades, pnl, peak, maxDrawdown] = [0, 0, 0, 0];
  for (let index = 0; index < length; index += 1) {
    const open = opens[index] ?? NaN;
    let exit = NaN;
    if (held) {
      if (leaving || open <= stopAt || open >= targetAt) exit = open;
    } else if (entering) {
      entry = open;
      stopAt = open * (1 - stop);
      targetAt = open * (1 + target);
      held = true;
    }
    if (held && exit !== exit) {
      if ((lows[index] ?? NaN) <= stopAt) exit = stopAt;
      else if ((highs[index] ?? NaN) >= targetAt) exit = targetAt;
    }
    if (held && index === length - 1 && exit !== exit) exit = closes[index] ?? NaN;
    if (exit === exit) {
      const value = (notional * exit) / entry;
      pnl += value - notional - (value + notional) * fee;
      if (pnl > peak) peak = pnl;
      else if (peak - pnl > maxDrawdown) maxDrawdown = peak - pnl;
      trades += 1;
      held = false;
    }
    const close = closes[index] ?? NaN;
    const change = close - before;
    before = close;
    const up = change > 0 ? change : 0;
    const down = change < 0 ? -change : 0;
    if (index > period) {
      gain = (gain * (period - 1) + up) / period;
      loss = (loss * (period - 1) + down) / period;
    } else {
      gain += up / period;
      loss += down / period;
    }
    const sum = gain + loss;
    const strength = index < period ? NaN : sum === 0 ? 0 : 100 * (gain / sum);
    entering = !held && strength < buyBelow;
    leaving = held && strength > sellAbove;
  }
  return { trades, pnl, maxDrawdown };
}

/** The baseline of a cold run: reads a compressed candle file, trades it and writes what came of it as JSON. */
export function bareFileToJson(path: string, rules: BareRules, json: string): BareResult {
  const rows = gunzipSync(readFileSync(path)).toString("latin1").trimEnd().split("\n").slice(1);
  const columns = rows.map((row) => row.split(",").map(Number));
  const column = (at: number): Float64Array => Float64Array.from(columns, (row) => row[at] ?? NaN);
  const [opens, highs, lows, closes] = [column(1), column(2), column(3), column(4)];
  const result = bareBacktest({ length: rows.length, opens, highs, lows, closes }, rules);
  writeFileSync(json, JSON.stringify(result));
  return result;
}
