import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { Decimal } from "./money.ts";

/** One candle; times are ms UTC, prices and the volume (base coin) are decimal strings as recorded. */
export interface Candle {
  readonly start: number;
  readonly open: string;
  readonly high: string;
  readonly low: string;
  readonly close: string;
  readonly volume: string;
}

/** Candles of one symbol without gaps: candle i starts at the first one's start + i × intervalMs. */
export interface CandleSeries {
  readonly symbol: string;
  readonly intervalMs: number;
  readonly candles: readonly Candle[];
}

const HEADER = "openTime,open,high,low,close,volume";
const COLUMNS = 6;
const MINUTE_MS = 60_000;

/** Most candles that one file may hold: a year of minutes. Keeps the process far below 1 GB. */
const MAX_CANDLES = 530_000;

/** "1m", "5m", "1h" → ms. */
export function parseInterval(interval: string): number {
  const match = /^(\d{1,4})(m|h)$/.exec(interval);
  if (match === null) throw new Error(`interval ${interval} is not like 1m, 5m or 1h`);
  return Number(match[1]) * (match[2] === "h" ? 60 : 1) * MINUTE_MS;
}

/** Reads `bybit-linear-<symbol>-<interval>-*.csv.gz` from a directory that holds exactly one such file. */
export async function loadCandles(
  directory: string,
  symbol: string,
  interval: string,
): Promise<CandleSeries> {
  const prefix = `bybit-linear-${symbol}-${interval}-`;
  const files = (await readdir(directory)).filter(
    (file) => file.startsWith(prefix) && file.endsWith(".csv.gz"),
  );
  const [file] = files;
  if (file === undefined || files.length > 1) {
    throw new Error(
      `${directory} must hold exactly one file ${prefix}*.csv.gz, it holds ${files.length}`,
    );
  }
  const content = await promisify(gunzip)(await readFile(join(directory, file)));
  return parseCandles(content.toString("utf8"), {
    symbol,
    intervalMs: parseInterval(interval),
    name: file,
  });
}

interface SeriesName {
  readonly symbol: string;
  readonly intervalMs: number;
  /** What errors call the text, such as the file's name. */
  readonly name: string;
}

/** Parses the CSV text of one symbol; refuses unknown columns, disorder, gaps and impossible prices. */
export function parseCandles(csv: string, { symbol, intervalMs, name }: SeriesName): CandleSeries {
  const [header, ...lines] = csv.trimEnd().split("\n");
  if (header !== HEADER) throw new Error(`${name}: expected the header ${HEADER}`);
  if (lines.length === 0) throw new Error(`${name}: no candles`);
  if (lines.length > MAX_CANDLES) throw new Error(`${name}: more than ${MAX_CANDLES} candles`);
  const candles = lines.map((line, index) => parseCandle(line, `${name}:${index + 2}`));
  return checkedSeries({ symbol, intervalMs, candles }, name);
}

function parseCandle(line: string, place: string): Candle {
  const columns = line.split(",");
  if (columns.length !== COLUMNS) throw new Error(`${place}: expected ${COLUMNS} columns`);
  const [start = "", open = "", high = "", low = "", close = "", volume = ""] = columns;
  return { start: Number(start), open, high, low, close, volume };
}

/** Returns the series as it is, or throws with the first candle that breaks it. `name` is what errors call it. */
export function checkedSeries(series: CandleSeries, name: string): CandleSeries {
  const first = series.candles[0];
  if (first === undefined) throw new Error(`${name}: no candles`);
  if (first.start % series.intervalMs !== 0) {
    throw new Error(`${name}: the first candle does not start at a multiple of the interval`);
  }
  for (const [index, candle] of series.candles.entries()) {
    const due = first.start + index * series.intervalMs;
    if (candle.start !== due) {
      throw new Error(
        `${name}: expected a candle at ${new Date(due).toISOString()} (gap or disorder)`,
      );
    }
    const [low, high] = [Number(candle.low), Number(candle.high)];
    const inside = [candle.open, candle.close].map(Number).every((p) => p >= low && p <= high);
    if (!inside || !(low > 0) || !(Number(candle.volume) >= 0)) {
      throw new Error(`${name}: impossible candle at ${new Date(due).toISOString()}`);
    }
  }
  return series;
}

/** Merges candles of one bucket, in order, into one that starts at `start`. */
export function mergeCandles(start: number, parts: readonly Candle[]): Candle {
  const first = parts[0];
  const last = parts.at(-1);
  if (first === undefined || last === undefined) throw new Error("a bucket without candles");
  let [high, low] = [first.high, first.low];
  let volume = new Decimal(0);
  for (const part of parts) {
    // Recorded prices have far fewer than 15 digits, so comparing them as doubles is exact.
    if (Number(part.high) > Number(high)) high = part.high;
    if (Number(part.low) < Number(low)) low = part.low;
    volume = volume.plus(part.volume);
  }
  return { start, open: first.open, high, low, close: last.close, volume: volume.toFixed() };
}

/** The recordings have no turnover; volume × close stands in for it, in USDT. */
export function turnoverOf(candle: Candle): string {
  return new Decimal(candle.volume).times(candle.close).toFixed();
}

/** Full buckets of `intervalMs`, aligned to UTC. A bucket whose beginning is missing from the series is left out. */
export function aggregate(series: CandleSeries, intervalMs: number): CandleSeries {
  const size = intervalMs / series.intervalMs;
  const first = series.candles[0];
  if (first === undefined) throw new Error(`${series.symbol}: no candles`);
  const misaligned = first.start % intervalMs;
  const skipped = misaligned === 0 ? 0 : (intervalMs - misaligned) / series.intervalMs;
  const candles: Candle[] = [];
  for (let index = skipped; index + size <= series.candles.length; index += size) {
    const parts = series.candles.slice(index, index + size);
    candles.push(mergeCandles(parts[0]?.start ?? 0, parts));
  }
  return { symbol: series.symbol, intervalMs, candles };
}
