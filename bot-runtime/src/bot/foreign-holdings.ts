import type { OrderView } from "../exchange/exchange.ts";
import type { Refusal } from "../risk/gate.ts";
import { couldBeOwn, foreignHolding, type SymbolView } from "./reconcile.ts";
import type { TraderDeps } from "./trader-deps.ts";
import type { Work } from "./work.ts";

/** How far back executions are searched for what opened a position, at most. */
const SEARCH_MAX_MS = 7 * 86_400_000;
/** A position may be shown so much later than it was opened, and clocks may differ. */
const LATE_MS = 600_000;
/** Looked for this often: somebody else's order or position shows before an entry meets it. */
const LOOK_MS = 30_000;
/** What was found is looked at this often: only somebody else can change it. */
const FOUND_LOOK_MS = 5_000;
/** A protection without a position is cancelled when it stays for so long: an exchange may show positions later than orders. */
const STRAY_AFTER_MS = 20_000;

/** What is on a symbol besides the bot's own: named, and left alone, but for stops of the bot's that outlived their position. */
export class ForeignHoldings {
  readonly #symbol: string;
  readonly #deps: TraderDeps;
  #sentence: string | undefined;
  #mayBeOwn = false;
  #seen: SymbolView | undefined;
  /** When nothing was held here at last, wall clock, ms. */
  #emptyMs = -Infinity;
  #lookedMs = -Infinity;
  /** When the newest look that came to its end began. */
  #shownMs = -Infinity;
  /** End of the bot's newest position here, by the exchange's clock, ms. */
  #endedMs = -Infinity;
  /** Since when every look has shown that nobody holds anything here. */
  #flatSinceMs: number | undefined;
  #strays: readonly OrderView[] = [];

  constructor(symbol: string, deps: TraderDeps) {
    this.#symbol = symbol;
    this.#deps = deps;
  }

  /** What is there, for the bot's owner; undefined when there is nothing. */
  get sentence(): string | undefined {
    return this.#sentence;
  }

  /** All of it, and what may have opened it. */
  get seen(): SymbolView | undefined {
    return this.#seen;
  }

  /** It carries an id as this bot gives them, which nothing explains. */
  get mayBeOwn(): Refusal | undefined {
    if (!this.#mayBeOwn) return undefined;
    return {
      reason: "PositionUnknown",
      message: `${this.#symbol}: what is open there carries an order id as this bot gives them, but neither the journal nor the candles explain it; close it at the exchange, unless another bot of the account does`,
    };
  }

  get isDue(): boolean {
    const isClear = this.#sentence === undefined && this.#strays.length === 0;
    const everyMs = isClear ? LOOK_MS : FOUND_LOOK_MS;
    return this.#deps.monotonicMs() - this.#lookedMs >= everyMs;
  }

  /** What is there has been seen by a look that began then or later (monotonic clock, ms). */
  isSeenSince(ms: number): boolean {
    return this.#shownMs >= ms;
  }

  lookSoon(): void {
    this.#lookedMs = -Infinity;
  }

  /** A position of the bot's has ended, at this time of the exchange, ms: what was attached to it should be gone. */
  positionEnded(closedMs: number): void {
    this.#endedMs = Math.max(this.#endedMs, closedMs);
    this.lookSoon();
  }

  async look(works: readonly Work[]): Promise<void> {
    const beganMs = this.#deps.monotonicMs();
    this.#lookedMs = beganMs;
    const symbol = this.#symbol;
    const askedMs = this.#deps.nowMs();
    const sinceMs = Math.max(this.#emptyMs - LATE_MS, askedMs - SEARCH_MAX_MS);
    const search = { symbol, sinceMs };
    const [{ held }, orders] = await Promise.all([
      this.#deps.looks.position(symbol),
      this.#deps.looks.openOrders(symbol),
    ]);
    const sentence = foreignHolding(works, { symbol, held, orders });
    const executions = sentence === undefined ? [] : await this.#deps.looks.executions(search);
    const seen = { symbol, held, orders, executions };
    this.#seen = seen;
    this.#shownMs = beganMs;
    this.#sentence = sentence;
    this.#mayBeOwn = sentence !== undefined && couldBeOwn(this.#deps, works, seen);
    if (held === undefined) this.#emptyMs = askedMs;
    const isFlat = held === undefined && works.length === 0;
    this.#flatSinceMs = isFlat ? (this.#flatSinceMs ?? this.#lookedMs) : undefined;
    this.#strays = isFlat ? orders.filter((order) => this.#isStray(order)) : [];
    await this.#removeStrays();
  }

  /** What is newer than the end of the bot's position may protect one that somebody else has opened since. */
  #isStray({ isProtection, createdMs }: OrderView): boolean {
    return isProtection && createdMs < this.#endedMs;
  }

  /** A stop or target whose position is gone would hit the next one; an order list may be ahead of the position for a while. */
  async #removeStrays(): Promise<void> {
    const { monotonicMs, exchange, log } = this.#deps;
    if (monotonicMs() - (this.#flatSinceMs ?? Infinity) < STRAY_AFTER_MS) return;
    for (const { exchangeOrderId } of this.#strays) {
      const outcome = await exchange.cancelPlaced({ symbol: this.#symbol, exchangeOrderId });
      log.warn("stray-protection", { exchangeOrderId, outcome: outcome.kind });
    }
  }
}
