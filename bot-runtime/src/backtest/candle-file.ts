import { createReadStream } from "node:fs";
import { basename } from "node:path";
import { pipeline } from "node:stream";
import { createGunzip } from "node:zlib";
import { CandleCsvParser } from "./candle-csv.ts";
import { type CandleTable, isoTime } from "./candle-table.ts";

/** Large pieces: the parser takes a megabyte in about two milliseconds. */
const CHUNK_BYTES = 1 << 20;
/** Gaps that are named one by one. */
const MAX_NAMED_GAPS = 10;

/**
 * Reads a candle file, `.csv` or `.csv.gz`. Throws `CandleFileError` for what is wrong in it, and the system's error for a
 * file that cannot be read.
 */
export async function readCandleFile(path: string): Promise<CandleTable> {
  const parser = new CandleCsvParser(basename(path));
  const file = createReadStream(path, { highWaterMark: CHUNK_BYTES });
  const source: AsyncIterable<Uint8Array> = path.endsWith(".gz")
    ? // An error of either stream comes out of the iteration.
      pipeline(file, createGunzip({ chunkSize: CHUNK_BYTES }), () => undefined)
    : file;
  for await (const chunk of source) parser.push(chunk);
  return parser.end();
}

/** A sentence for each gap, the first ones by name: "line 12: 3 candles missing from 2025-06-18T00:05:00.000Z". */
export function gapWarnings({ gaps }: CandleTable): readonly string[] {
  const named = gaps.slice(0, MAX_NAMED_GAPS).map(({ index, missing, fromMs }) => {
    const candles = missing === 1 ? "1 candle is" : `${missing} candles are`;
    return `line ${index + 2}: ${candles} missing from ${isoTime(fromMs)} on`;
  });
  if (gaps.length === 0) return [];
  const total = gaps.reduce((sum, { missing }) => sum + missing, 0);
  const more = gaps.length - named.length;
  const rest = more === 0 ? [] : [`${more} more gaps; ${total} candles are missing in all`];
  return [...named, ...rest];
}
