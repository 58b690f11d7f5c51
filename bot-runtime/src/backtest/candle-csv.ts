import {
  type CandleTable,
  CandleTableBuilder,
  OffGridError,
  PRICE_DIGITS,
} from "./candle-table.ts";

/** The columns of a candle file, in this order: the open time in ms UTC, prices and volume as decimals. */
const COLUMNS = ["openTime", "open", "high", "low", "close", "volume"] as const;

/** No exchange has shorter candles; times in seconds are a thousandth apart of what they should be. */
const MIN_INTERVAL_MS = 1_000;

/** A candle is 60 characters long; nothing that is one comes near this. */
const MAX_LINE_BYTES = 1_024;

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const COMMA = 0x2c;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;

const MAX_MANTISSA = 10 ** PRICE_DIGITS;
/** Powers of ten that a double holds exactly; the quotient of two exact doubles is the double nearest to the decimal. */
const POWERS = Array.from({ length: 23 }, (_, exponent) => 10 ** exponent);

/** What is wrong with a candle file, with its name and the line: for the user. */
export class CandleFileError extends Error {
  constructor(file: string, line: number, problem: string) {
    super(`${file}:${line}: ${problem}`);
    this.name = "CandleFileError";
  }
}

/**
 * Parses candle files byte by byte, in pieces of any size: no string is made of anything that is right. Throws
 * `CandleFileError` for unknown, missing or misplaced columns, numbers that are none, disorder and duplicates; gaps are
 * listed in the table.
 */
export class CandleCsvParser {
  readonly #file: string;
  readonly #table = new CandleTableBuilder();
  /** openTime, open, high, low, close of the line at hand. */
  readonly #candle = new Float64Array(COLUMNS.length - 1);
  #priceDecimals = 0;
  #line = 0;
  /** Beginning of a line whose end has not come yet. */
  #rest: Uint8Array = new Uint8Array(0);
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;

  /** `file` is what errors call it. */
  constructor(file: string) {
    this.#file = file;
  }

  push(chunk: Uint8Array): void {
    const lastFeed = chunk.lastIndexOf(LINE_FEED);
    if (lastFeed === -1) {
      this.#rest = joined(this.#rest, chunk);
      if (this.#rest.length > MAX_LINE_BYTES) throw this.#error("the line is too long");
      return;
    }
    let from = 0;
    if (this.#rest.length > 0) {
      from = chunk.indexOf(LINE_FEED) + 1;
      this.#takeLines(joined(this.#rest, chunk.subarray(0, from)));
    }
    this.#takeLines(chunk.subarray(from, lastFeed + 1));
    this.#rest = chunk.slice(lastFeed + 1);
  }

  /** The whole file was pushed: its table. */
  end(): CandleTable {
    if (this.#rest.length > 0) this.push(Uint8Array.of(LINE_FEED));
    if (this.#table.length === 0) throw this.#error("there are no candles in it");
    try {
      const table = this.#table.build(this.#priceDecimals);
      if (table.length > 1 && table.intervalMs < MIN_INTERVAL_MS)
        throw this.#error(
          `candles open every ${table.intervalMs} ms: openTime is in milliseconds, and these look like seconds`,
        );
      return table;
    } catch (error) {
      if (!(error instanceof OffGridError)) throw error;
      throw new CandleFileError(this.#file, error.index + 2, error.message);
    }
  }

  /** Whole lines, each with its line feed. */
  #takeLines(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#at = 0;
    if (this.#line === 0 && bytes.length > 0) this.#takeHeader();
    while (this.#at < bytes.length) {
      this.#line += 1;
      this.#takeCandle();
    }
  }

  #takeHeader(): void {
    this.#line = 1;
    const end = this.#bytes.indexOf(LINE_FEED);
    const names = decode(this.#bytes.subarray(0, end)).trimEnd().split(",");
    const known: readonly string[] = COLUMNS;
    const unknown = names.filter((name) => !known.includes(name));
    const missing = COLUMNS.filter((name) => !names.includes(name));
    const expected = `expected the columns ${COLUMNS.join(",")}`;
    if (unknown.length > 0)
      throw this.#error(
        `unknown column ${unknown.map((name) => `"${name}"`).join(", ")}; ${expected}`,
      );
    if (missing.length > 0)
      throw this.#error(`column ${missing.join(", ")} is missing; ${expected}`);
    if (names.join() !== COLUMNS.join()) throw this.#error(`columns out of order; ${expected}`);
    this.#at = end + 1;
  }

  #takeCandle(): void {
    const start = this.#at;
    const candle = this.#candle;
    for (let column = 0; column < candle.length; column += 1) {
      candle[column] = this.#takeNumber(column);
      if (this.#bytes[this.#at] !== COMMA) throw this.#brokenLine(start);
      this.#at += 1;
    }
    this.#skipVolume(start);
    const problem = this.#table.append(candle);
    if (problem !== undefined) throw this.#error(problem);
  }

  /** The decimal at hand, up to a comma or whatever else ends it. */
  #takeNumber(column: number): number {
    const bytes = this.#bytes;
    const start = this.#at;
    let at = start;
    let mantissa = 0;
    let point = -1;
    for (; ; at += 1) {
      const byte = bytes[at] ?? LINE_FEED;
      if (byte >= ZERO && byte <= NINE) mantissa = mantissa * 10 + (byte - ZERO);
      else if (byte === POINT && point === -1) point = at;
      else break;
    }
    this.#at = at;
    const digits = at - start - (point === -1 ? 0 : 1);
    const decimals = point === -1 ? 0 : at - point - 1;
    const isTime = column === 0;
    if (digits === 0 || (isTime && point !== -1)) throw this.#notANumber(start, column);
    if (mantissa >= MAX_MANTISSA) return this.#longNumber(start, column);
    if (decimals > this.#priceDecimals) this.#noteDecimals(mantissa, decimals);
    return mantissa / (POWERS[decimals] ?? NaN);
  }

  /** More digits than a double is sure to tell apart: fine only when they are needless zeros. */
  #longNumber(start: number, column: number): number {
    const text = decode(this.#bytes.subarray(start, this.#at));
    const [whole = "", fraction = ""] = text.split(".");
    const kept = fraction.replace(/0+$/, "");
    if ((whole + kept).replace(/^0+/, "").length > PRICE_DIGITS)
      throw this.#error(
        `${COLUMNS[column]} ${text} has more than ${PRICE_DIGITS} significant digits`,
      );
    if (kept.length > this.#priceDecimals) this.#priceDecimals = kept.length;
    return Number(text);
  }

  #noteDecimals(mantissa: number, decimals: number): void {
    let rest = mantissa;
    let needed = decimals;
    while (needed > 0 && rest % 10 === 0) {
      rest /= 10;
      needed -= 1;
    }
    if (needed > this.#priceDecimals) this.#priceDecimals = needed;
  }

  /** Nothing is decided by the volume: that it is a number is all that is asked of it. */
  #skipVolume(lineStart: number): void {
    const bytes = this.#bytes;
    const start = this.#at;
    let at = start;
    let points = 0;
    for (; ; at += 1) {
      const byte = bytes[at] ?? LINE_FEED;
      if (byte === POINT) points += 1;
      else if (byte < ZERO || byte > NINE) break;
    }
    this.#at = at;
    if (at - start === points || points > 1) throw this.#notANumber(start, COLUMNS.length - 1);
    if (bytes[at] === CARRIAGE_RETURN) at += 1;
    if (bytes[at] !== LINE_FEED) throw this.#brokenLine(lineStart);
    this.#at = at + 1;
  }

  #notANumber(start: number, column: number): CandleFileError {
    const line = this.#bytes.subarray(start, this.#bytes.indexOf(LINE_FEED, start));
    const comma = line.indexOf(COMMA);
    const text = decode(comma === -1 ? line : line.subarray(0, comma)).trimEnd();
    const wanted = column === 0 ? "a time in whole ms UTC" : "a positive decimal number";
    return this.#error(`${COLUMNS[column]} "${text.slice(0, 40)}" is not ${wanted}`);
  }

  #brokenLine(start: number): CandleFileError {
    const end = this.#bytes.indexOf(LINE_FEED, start);
    const columns = decode(this.#bytes.subarray(start, end)).split(",");
    if (columns.length !== COLUMNS.length)
      return this.#error(`${columns.length} columns instead of ${COLUMNS.length}`);
    return this.#error(`not numbers between commas: ${columns.join().slice(0, 100)}`);
  }

  #error(problem: string): CandleFileError {
    return new CandleFileError(this.#file, Math.max(this.#line, 1), problem);
  }
}

function joined(left: Uint8Array, right: Uint8Array): Uint8Array {
  const both = new Uint8Array(left.length + right.length);
  both.set(left);
  both.set(right, left.length);
  return both;
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
