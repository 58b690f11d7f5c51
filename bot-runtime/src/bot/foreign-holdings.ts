import type { HeldPosition, OrderView } from "../exchange/exchange.ts";
import { isDust } from "../orders/sizing.ts";
import { accountForTrade, hasShare } from "../orders/trade-account.ts";
import type { Refusal } from "../risk/gate.ts";
import { exchangeTime } from "./account-for-fills.ts";
import { OpeningSearch } from "./opening-search.ts";
import { couldBeOwn, foreignHolding, type SymbolView } from "./reconcile.ts";
import type { TraderDeps } from "./trader-deps.ts";
import type { Work } from "./work.ts";

/** Looked for this often: somebody else's order or position shows before an entry meets it. */
const LOOK_MS = 30_000;
/** What was found is looked at this often: only somebody else can change it. */
const FOUND_LOOK_MS = 5_000;
/** While older executions are still to be read. */
const SEARCH_LOOK_MS = 1_000;
/** A protection without a position is cancelled when it stays for so long: an exchange may show positions later than orders. */
const STRAY_AFTER_MS = 20_000;

/** What is on a symbol besides the bot's own: named, and left alone, but for stops of the bot's that outlived their position. */
export class ForeignHoldings {
  readonly #symbol: string;
  readonly #deps: TraderDeps;
  #sentence: string | undefined;
  /** Why it may be this bot's own all the same: what nothing explains carries such an id, or nobody knows all that opened it. */
  #doubt: "id" | "unread" | undefined;
  #seen: SymbolView | undefined;
  /** When nothing was held here at last, by the exchange's clock, ms. */
  #emptyMs = -Infinity;
  #lookedMs = -Infinity;
  /** When the newest look that came to its end began. */
  #shownMs = -Infinity;
  /** End of the bot's newest position here, by the exchange's clock, ms. */
  #endedMs = -Infinity;
  /** The trade of that position where its rest counts as closed, though nobody can tell by what: it may show again. */
  #rest: Work | undefined;
  /** Since when every look has shown that nobody holds anything here. */
  #flatSinceMs: number | undefined;
  #strays: readonly OrderView[] = [];
  readonly #search: OpeningSearch;

  constructor(symbol: string, deps: TraderDeps) {
    this.#symbol = symbol;
    this.#deps = deps;
    this.#search = new OpeningSearch(symbol, deps);
  }

  /** What is there, for the bot's owner; undefined when there is nothing. */
  get sentence(): string | undefined {
    return this.#sentence;
  }

  /** All of it, and what may have opened it. */
  get seen(): SymbolView | undefined {
    return this.#seen;
  }

  /** It may be this bot's own: nothing is opened, and the bot is not flat. */
  get mayBeOwn(): Refusal | undefined {
    if (this.#doubt === undefined) return undefined;
    const why =
      this.#doubt === "id"
        ? "what is open there carries an order id as this bot gives them, but neither the journal nor the candles explain it"
        : "not all executions that opened what is held there are known, so it may be this bot's";
    return {
      reason: "PositionUnknown",
      message: `${this.#symbol}: ${why}; close it at the exchange, unless another bot of the account does`,
    };
  }

  get isDue(): boolean {
    const isClear = this.#sentence === undefined && this.#strays.length === 0;
    const foundMs = this.#search.isUnderWay ? SEARCH_LOOK_MS : FOUND_LOOK_MS;
    const everyMs = isClear ? LOOK_MS : foundMs;
    return this.#deps.monotonicMs() - this.#lookedMs >= everyMs;
  }

  /** What is there has been seen by a look that began then or later (monotonic clock, ms). */
  isSeenSince(ms: number): boolean {
    return this.#shownMs >= ms;
  }

  lookSoon(): void {
    this.#lookedMs = -Infinity;
  }

  /** The position of a work of the bot's has ended: what was attached to it should be gone. */
  positionEnded(work: Work): void {
    this.#endedMs = Math.max(this.#endedMs, work.account.closedMs ?? -Infinity);
    this.#rest = work.restClosed ? work : undefined;
    this.lookSoon();
  }

  async look(works: readonly Work[]): Promise<void> {
    const beganMs = this.#deps.monotonicMs();
    this.#lookedMs = beganMs;
    const symbol = this.#symbol;
    const askedMs = exchangeTime(this.#deps) ?? this.#deps.nowMs();
    const [{ held }, orders] = await Promise.all([
      this.#deps.looks.position(symbol),
      this.#deps.looks.openOrders(symbol),
    ]);
    const sentence = foreignHolding(works, { symbol, held, orders });
    // Named at once, and nobody knows whose it is before its executions have come.
    if (sentence !== undefined && this.#sentence === undefined && this.#countsHeld(held))
      this.#doubt = "unread";
    this.#sentence = sentence;
    if (sentence === undefined) this.#search.forget();
    const { executions, isWhole } =
      sentence === undefined
        ? { executions: [], isWhole: true }
        : await this.#search.look(held, { askedMs, emptyMs: this.#searchedFromMs });
    const seen = { symbol, held, orders, executions };
    this.#seen = seen;
    this.#shownMs = beganMs;
    const hasOwnId = sentence !== undefined && couldBeOwn(this.#deps, works, seen);
    const isUnread = !isWhole && this.#countsHeld(held) && !this.#isBesideRest(seen);
    this.#doubt = hasOwnId ? "id" : isUnread ? "unread" : undefined;
    if (held === undefined) this.#emptyMs = askedMs;
    const isFlat = held === undefined && works.length === 0;
    this.#flatSinceMs = isFlat ? (this.#flatSinceMs ?? this.#lookedMs) : undefined;
    this.#strays = isFlat ? orders.filter((order) => this.#isStray(order)) : [];
    await this.#removeStrays();
  }

  get #searchedFromMs(): number {
    return Math.min(this.#emptyMs, this.#rest?.account.openedMs ?? Infinity);
  }

  /** All that is held is what others have, beside a trade whose rest counts as closed. */
  #isBesideRest({ held, executions }: SymbolView): boolean {
    const rest = this.#rest;
    if (rest === undefined || held?.side !== rest.side) return false;
    return !hasShare(accountForTrade(rest, executions), held.quantity);
  }

  /** Dust holds nobody up, whosever it is. */
  #countsHeld(held: HeldPosition | undefined): boolean {
    if (held === undefined) return false;
    return !isDust(this.#deps.exchange.market(this.#symbol), held.entryPrice, held.quantity);
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
