import {
  type Execution,
  EXECUTIONS_KEPT_MS,
  type HeldPosition,
  isExchangeFault,
} from "../exchange/exchange.ts";
import { areAllOpening } from "./reconcile.ts";
import type { TraderDeps } from "./trader-deps.ts";

/** So far back everything is read at once; what is older window by window. Bybit answers so much to one question. */
const WINDOW_MS = 7 * 86_400_000 - 3_600_000;
/** A search reads no further with so many, 1 KB each: what trades so much on the symbol is another bot. */
const EXECUTIONS_MAX = 10_000;
/** Of one look, which holds its symbol's turn: the next one goes on where it ended. */
const WINDOWS_PER_LOOK = 4;
const EXECUTIONS_PER_LOOK = 1_000;
/** An exchange may show executions so long after they happened: what is older has been read. */
const SHOWN_LATE_MS = 86_400_000;
/** A position may be shown so much later than it was opened, and clocks may differ. */
const LATE_MS = 600_000;

/** When a look began and when nothing was held at last, -Infinity where nobody knows, ms by the exchange's clock. */
export interface SearchTimes {
  readonly askedMs: number;
  readonly emptyMs: number;
}

interface Read {
  /** Everything from here on has been read. */
  readonly sinceMs: number;
  /** What is older will not change any more. */
  readonly settledMs: number;
  readonly executions: readonly Execution[];
}

/**
 * Searches backwards for what opened a foreign position, as far as its executions have to be known. What was read is kept for as
 * long as something is held, so that every time is read once, also by a search that was given up.
 */
export class OpeningSearch {
  readonly #symbol: string;
  readonly #deps: TraderDeps;
  #read: Read | undefined;
  /** What is older cannot be read. */
  #isBlocked = false;
  #isUnderWay = false;

  constructor(symbol: string, deps: TraderDeps) {
    this.#symbol = symbol;
    this.#deps = deps;
  }

  /** The next look goes on: there is more to be read. */
  get isUnderWay(): boolean {
    return this.#isUnderWay;
  }

  /** Nothing is held any more: the next position has another beginning. */
  forget(): void {
    this.#read = undefined;
    this.#isBlocked = false;
    this.#isUnderWay = false;
  }

  /**
   * Executions known by now, oldest first. `isWhole`: they tell how all that is held was opened, or the exchange has no more of
   * them. @throws ExchangeFault when the newest ones cannot be read, or older ones not now.
   */
  async look(
    held: HeldPosition | undefined,
    { askedMs, emptyMs }: SearchTimes,
  ): Promise<{ readonly executions: readonly Execution[]; readonly isWhole: boolean }> {
    if (held === undefined) this.forget();
    const earliestMs = Math.max(emptyMs - LATE_MS, askedMs - EXECUTIONS_KEPT_MS);
    let read = await this.#readNewest(earliestMs, askedMs);
    const isUnexplained = () => read.executions.some(({ cause }) => cause === "unknown");
    const isWhole = () =>
      held === undefined ||
      (read.sinceMs <= earliestMs && !isUnexplained()) ||
      areAllOpening(held, read.executions);
    const isOpen = () =>
      !isWhole() &&
      !this.#isBlocked &&
      read.sinceMs > earliestMs &&
      read.executions.length < EXECUTIONS_MAX;
    const enough = read.executions.length + EXECUTIONS_PER_LOOK;
    for (let windows = 0; windows < WINDOWS_PER_LOOK && isOpen(); windows += 1) {
      if (read.executions.length >= enough) break;
      read = await this.#readOlder(read, earliestMs);
    }
    this.#isUnderWay = isOpen();
    this.#read = held === undefined ? undefined : withoutSurplus(read, askedMs);
    return { executions: read.executions, isWhole: isWhole() };
  }

  async #readNewest(earliestMs: number, askedMs: number): Promise<Read> {
    const before = this.#read;
    const sinceMs = before?.settledMs ?? Math.max(earliestMs, askedMs - WINDOW_MS);
    const found = await this.#deps.looks.executions({ symbol: this.#symbol, sinceMs });
    const settledMs = Math.max(sinceMs, askedMs - SHOWN_LATE_MS);
    if (before === undefined) return (this.#read = { sinceMs, settledMs, executions: found });
    const settled = before.executions.filter(({ atMs }) => atMs < sinceMs);
    const executions = [...settled, ...found.filter(({ atMs }) => atMs >= sinceMs)];
    return (this.#read = { sinceMs: before.sinceMs, settledMs, executions });
  }

  /** One window more, kept at once: the look may be given up before the next. */
  async #readOlder(read: Read, earliestMs: number): Promise<Read> {
    const sinceMs = Math.max(earliestMs, read.sinceMs - WINDOW_MS);
    const window = { symbol: this.#symbol, sinceMs, untilMs: read.sinceMs - 1 };
    try {
      const found = await this.#deps.looks.executions(window);
      const older = found.filter(({ atMs }) => atMs >= sinceMs && atMs < read.sinceMs);
      return (this.#read = { ...read, sinceMs, executions: [...older, ...read.executions] });
    } catch (error) {
      // Another answer may come to a question that failed for the way, none to one that was refused.
      if (!isExchangeFault(error) || error.fault !== "Refused") throw error;
      this.#isBlocked = true;
      return read;
    }
  }
}

/** The oldest ones go, but for those of the first window. */
function withoutSurplus(read: Read, askedMs: number): Read {
  const surplus = read.executions.length - EXECUTIONS_MAX;
  if (surplus <= 0) return read;
  const executions = read.executions.filter(
    ({ atMs }, index) => index >= surplus || atMs >= askedMs - WINDOW_MS,
  );
  return { ...read, executions, sinceMs: executions[0]?.atMs ?? read.sinceMs };
}
