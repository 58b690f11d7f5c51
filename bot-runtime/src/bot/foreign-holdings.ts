import type { OrderView } from "../exchange/exchange.ts";
import type { Refusal } from "../risk/gate.ts";
import { couldBeOwn, foreignHolding } from "./reconcile.ts";
import type { TraderDeps } from "./trader-deps.ts";
import type { Work } from "./work.ts";

/** Looked for this often: somebody else's order or position shows before an entry meets it. */
const LOOK_MS = 30_000;
/** What was found is looked at this often: only somebody else can change it. */
const FOUND_LOOK_MS = 5_000;

/** What is on a symbol besides the bot's own: named, and left alone, but for stops of the bot's that outlived their position. */
export class ForeignHoldings {
  readonly #symbol: string;
  readonly #deps: TraderDeps;
  #sentence: string | undefined;
  #mayBeOwn = false;
  #lookedMs = -Infinity;
  #hadWork = false;
  #strays: ReadonlySet<string> = new Set();

  constructor(symbol: string, deps: TraderDeps) {
    this.#symbol = symbol;
    this.#deps = deps;
  }

  /** What is there, for the bot's owner; undefined when there is nothing. */
  get sentence(): string | undefined {
    return this.#sentence;
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
    const everyMs = this.#sentence === undefined ? LOOK_MS : FOUND_LOOK_MS;
    return this.#deps.monotonicMs() - this.#lookedMs >= everyMs;
  }

  lookSoon(): void {
    this.#lookedMs = -Infinity;
  }

  /** A position of the bot's has ended: what was attached to it should be gone. */
  workEnded(): void {
    this.#hadWork = true;
    this.lookSoon();
  }

  async look(works: readonly Work[]): Promise<void> {
    this.#lookedMs = this.#deps.monotonicMs();
    const symbol = this.#symbol;
    const [{ held }, orders] = await Promise.all([
      this.#deps.looks.position(symbol),
      this.#deps.looks.openOrders(symbol),
    ]);
    const seen = { symbol, held, orders };
    const sentence = foreignHolding(works, seen);
    const mayBeOwn = sentence !== undefined && (await couldBeOwn(this.#deps, works, seen));
    this.#sentence = sentence;
    this.#mayBeOwn = mayBeOwn;
    const isFlat = held === undefined && works.length === 0;
    await this.#removeStrays(isFlat ? orders.filter(({ isProtection }) => isProtection) : []);
  }

  /**
   * A stop or target whose position is gone would hit the next one. Only on a symbol on which this process saw a position of
   * the bot's end, and only when it is there at two looks: it may protect what somebody opens at this very moment.
   */
  async #removeStrays(protections: readonly OrderView[]): Promise<void> {
    const before = this.#strays;
    this.#strays = new Set(protections.map(({ exchangeOrderId }) => exchangeOrderId));
    if (!this.#hadWork || this.#strays.size === 0) return;
    for (const exchangeOrderId of this.#strays) {
      if (!before.has(exchangeOrderId)) continue;
      const outcome = await this.#deps.exchange.cancelPlaced({
        symbol: this.#symbol,
        exchangeOrderId,
      });
      this.#deps.log.warn("stray-protection", { exchangeOrderId, outcome: outcome.kind });
    }
    this.lookSoon();
  }
}
