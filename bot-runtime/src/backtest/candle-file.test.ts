import { readdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CandleCsvParser } from "./candle-csv.ts";
import { gapWarnings, readCandleFile } from "./candle-file.ts";

const HEADER = "openTime,open,high,low,close,volume";
const RECORDED = fileURLToPath(
  new URL("../../../hack/exchange-simulator/candles/", import.meta.url),
);

function parse(...lines: readonly string[]) {
  const parser = new CandleCsvParser("test.csv");
  parser.push(Buffer.from(lines.join("\n")));
  return parser.end();
}

describe("a candle file", () => {
  test("is a column of times and four of prices", () => {
    const table = parse(HEADER, "60000,1.5,2.25,1,2,7", "120000,2,3,1.75,1.75,0.5", "");
    expect(table).toMatchObject({ length: 2, intervalMs: 60_000, gaps: [], priceDecimals: 2 });
    expect([...table.openTimesMs]).toEqual([60_000, 120_000]);
    expect([...table.opens]).toEqual([1.5, 2]);
    expect([...table.highs]).toEqual([2.25, 3]);
    expect([...table.lows]).toEqual([1, 1.75]);
    expect([...table.closes]).toEqual([2, 1.75]);
  });

  test.each([
    ["no line feed at the end", [HEADER, "0,1,1,1,1,1"]],
    ["line ends of Windows", [`${HEADER}\r`, "0,1,1,1,1,1\r", ""]],
    [
      "needless zeros beyond 15 digits",
      [HEADER, "0,1.0000000000000000000,1,1,1,1.00000000000000000000"],
    ],
  ])("%s is fine", (...[, lines]) => {
    expect(parse(...lines)).toMatchObject({ length: 1, intervalMs: 0, priceDecimals: 0 });
  });

  test.each<[string, readonly string[], string]>([
    ["empty", [""], "test.csv:1: there are no candles in it"],
    ["only a header", [HEADER], "test.csv:1: there are no candles in it"],
    [
      "unknown column",
      [`${HEADER},turnover`, "0,1,1,1,1,1,1"],
      'test.csv:1: unknown column "turnover"; expected the columns openTime,open,high,low,close,volume',
    ],
    [
      "missing column",
      ["openTime,open,high,low,close", "0,1,1,1,1"],
      "test.csv:1: column volume is missing",
    ],
    [
      "columns out of order",
      ["openTime,open,low,high,close,volume"],
      "test.csv:1: columns out of order",
    ],
    [
      "too few columns",
      [HEADER, "0,1,1,1,1,1", "60000,1,1,1"],
      "test.csv:3: 4 columns instead of 6",
    ],
    [
      "times in seconds",
      [HEADER, "1750204800,1,1,1,1,1", "1750204860,1,1,1,1,1"],
      "test.csv:3: candles open every 60 ms: openTime is in milliseconds, and these look like seconds",
    ],
    ["too many columns", [HEADER, "0,1,1,1,1,1,1"], "test.csv:2: 7 columns instead of 6"],
    [
      "a blank line",
      [HEADER, "0,1,1,1,1,1", "", "60000,1,1,1,1,1"],
      'test.csv:3: openTime "" is not a time in whole ms UTC',
    ],
    [
      "a word",
      [HEADER, "0,1,1,none,1,1"],
      'test.csv:2: low "none" is not a positive decimal number',
    ],
    [
      "a negative price",
      [HEADER, "0,1,1,-1,1,1"],
      'test.csv:2: low "-1" is not a positive decimal number',
    ],
    [
      "an exponent",
      [HEADER, "0,1,1e3,1,1,1"],
      "test.csv:2: not numbers between commas: 0,1,1e3,1,1,1",
    ],
    [
      "a volume that is none",
      [HEADER, "0,1,1,1,1,?"],
      'test.csv:2: volume "?" is not a positive decimal number',
    ],
    [
      "a time with a fraction",
      [HEADER, "0.5,1,1,1,1,1"],
      'test.csv:2: openTime "0.5" is not a time',
    ],
    [
      "more digits than a double has",
      [HEADER, "0,1.2345678901234567,2,1,1,1"],
      "test.csv:2: open 1.2345678901234567 has more than 15 significant digits",
    ],
    [
      "disorder",
      [HEADER, "120000,1,1,1,1,1", "60000,1,1,1,1,1"],
      "test.csv:3: disorder: 1970-01-01T00:01:00.000Z after 1970-01-01T00:02:00.000Z",
    ],
    [
      "a duplicate",
      [HEADER, "0,1,1,1,1,1", "0,1,1,1,1,1"],
      "test.csv:3: duplicate: 1970-01-01T00:00:00.000Z again",
    ],
    [
      "off the grid",
      [HEADER, "0,1,1,1,1,1", "60000,1,1,1,1,1", "120000,1,1,1,1,1", "150000,1,1,1,1,1"],
      "test.csv:5: disorder: 1970-01-01T00:02:30.000Z is not a multiple of 60 s",
    ],
    [
      "a high below the close",
      [HEADER, "0,1,1,1,2,1"],
      "test.csv:2: impossible candle: open 1, high 1, low 1, close 2",
    ],
    ["a price of zero", [HEADER, "0,1,1,0,1,1"], "test.csv:2: impossible candle"],
  ])("%s is refused by name and line", (...[, lines, message]) => {
    expect(() => parse(...lines)).toThrow(message);
  });

  test("gaps are listed and named, the first ten one by one", () => {
    const one = parse(
      HEADER,
      "0,1,1,1,1,1",
      "60000,1,1,1,1,1",
      "180000,1,1,1,1,1",
      "240000,1,1,1,1,1",
    );
    expect(one.gaps).toEqual([{ index: 2, missing: 1, fromMs: 120_000 }]);
    expect(gapWarnings(one)).toEqual([
      "line 4: 1 candle is missing from 1970-01-01T00:02:00.000Z on",
    ]);
    const times = Array.from({ length: 90 }, (_, index) => index).filter(
      (minute) => minute % 8 < 6,
    );
    const many = parse(HEADER, ...times.map((minute) => `${minute * 60_000},1,1,1,1,1`));
    expect(many.gaps.length).toBe(11);
    expect(gapWarnings(many).length).toBe(11);
    expect(gapWarnings(many).at(-1)).toBe("1 more gaps; 22 candles are missing in all");
  });

  test("comes in pieces of any size", () => {
    const text = [HEADER, "0,1.5,2,1,2,7", "60000,2,3,1.75,1.75,0.5", "120000,1,1,1,1,1"].join(
      "\n",
    );
    const whole = parse(text);
    for (let size = 1; size <= text.length; size += 1) {
      const parser = new CandleCsvParser("test.csv");
      for (let at = 0; at < text.length; at += size)
        parser.push(Buffer.from(text.slice(at, at + size)));
      expect(parser.end()).toEqual(whole);
    }
  });

  test("a line without an end is not collected for ever", () => {
    const parser = new CandleCsvParser("test.csv");
    expect(() => parser.push(Buffer.alloc(2_000, "1"))).toThrow("test.csv:1: the line is too long");
  });
});

describe("on disk", () => {
  let directory = "";
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "candles-"));
  });
  afterEach(async () => rm(directory, { recursive: true }));

  test("the recorded files are read as a plain parser reads them, compressed or not", async () => {
    const files = (await readdir(RECORDED)).filter((name) => name.endsWith(".csv.gz"));
    expect(files.length).toBeGreaterThan(0);
    for (const name of files) {
      const text = gunzipSync(await readFile(join(RECORDED, name))).toString("utf8");
      const rows = text
        .trimEnd()
        .split("\n")
        .slice(1)
        .map((line) => line.split(",").map(Number));
      const plain = join(directory, "plain.csv");
      await writeFile(plain, text);
      const table = await readCandleFile(join(RECORDED, name));
      expect(await readCandleFile(plain)).toEqual(table);
      const read = rows.map((_, index) => [
        table.openTimesMs[index],
        table.opens[index],
        table.highs[index],
        table.lows[index],
        table.closes[index],
      ]);
      expect(read).toEqual(rows.map((row) => row.slice(0, 5)));
      expect(table).toMatchObject({
        length: rows.length,
        intervalMs: 60_000,
        gaps: [],
        priceDecimals: name.includes("BTC") ? 1 : 2,
      });
    }
  });

  test("a file that ends in the middle of its compression is an error", async () => {
    const cut = join(directory, "cut.csv.gz");
    const whole = gzipSync(`${HEADER}\n0,1,1,1,1,1\n`);
    await writeFile(cut, whole.subarray(0, whole.length - 10));
    await expect(readCandleFile(cut)).rejects.toThrow("unexpected end of file");
  });

  test("a file that is not there is an error", async () => {
    await expect(readCandleFile(join(directory, "none.csv"))).rejects.toThrow("ENOENT");
  });
});
