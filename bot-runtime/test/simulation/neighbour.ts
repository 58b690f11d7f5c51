import { balancesOf } from "../../../hack/exchange-simulator/account.ts";
import type { InProcessExchange } from "../../../hack/exchange-simulator/in-process.ts";
import type { Random } from "../../../hack/exchange-simulator/random.ts";
import { Decimal } from "../../src/money.ts";
import type { Commitments } from "../commitments.ts";
import type { Observer } from "./observer.ts";
import { API_KEY } from "./platform.ts";
import type { Timeline } from "./timeline.ts";

interface NeighbourParts {
  readonly exchange: InProcessExchange;
  /** The journal's, of the account that both bots trade on. */
  readonly commitments: Commitments;
  readonly timeline: Timeline;
  readonly observer: () => Observer;
  readonly random: Random;
  readonly trace: ((line: string) => void) | undefined;
}

/** Of an account with a neighbour only so much of the equity may be committed: the bot's 5 % fit in, or the neighbour's, not both. */
export const SHARED_BALANCE_PERCENT = 12;
const SHARE_PERCENT = 8.5;
const SYMBOL = "ETHUSDT";
const LEVERAGE = 10;
const CATEGORY = { category: "linear", symbol: SYMBOL, positionIdx: 0 };
/** Of the times that the bot is shown its balance, it enters at so many. */
const ENTERS_SHARE = 0.7;
/** From the bot's look at the balance to its own, at most, ms: an entry takes longer in foul weather only. */
const AFTER_LOOK_MS = 300;
/** As a bot: an order reaches the exchange within 2 s and the receive window of its intent. */
const ON_ITS_WAY_MS = 6_500;
/** From a fill to the word of it in the journal, at most. */
const TOLD_AFTER_MS = 3_000;
const HOLDS_MS = 8_000;
const LOOK_MS = 250;

/**
 * Another bot of the same account, on a symbol of its own. It follows the journal's rule, and enters at the worst moment: when
 * the bot has just looked at a balance that does not show its order.
 */
export class Neighbour {
  readonly #parts: NeighbourParts;
  #entries = 0;
  #isBusy = false;
  #isGone = false;

  constructor(parts: NeighbourParts) {
    this.#parts = parts;
  }

  /** A process of the bot's was shown the account's balance. */
  balanceShown(): void {
    if (this.#isBusy || this.#isGone || this.#parts.random() > ENTERS_SHARE) return;
    this.#after(AFTER_LOOK_MS, () => this.#enter());
  }

  /** It enters no more, and leaves what it holds. */
  leave(): void {
    this.#isGone = true;
  }

  #enter(): void {
    if (this.#isBusy || this.#isGone) return;
    const { exchange, commitments, timeline } = this.#parts;
    const account = exchange.exchange.findKey(API_KEY)?.account;
    if (account === undefined) return;
    const { trading } = exchange.exchange;
    const { equity, positionMargin, orderMargin } = balancesOf(account, trading);
    const shareOf = (percent: number) => equity.times(percent).div(100).toDecimalPlaces(8);
    const margin = shareOf(SHARE_PERCENT);
    const commitment = {
      margin: margin.toFixed(),
      committed: positionMargin.plus(orderMargin).toFixed(),
      balanceAgeMs: 0,
      limit: shareOf(SHARED_BALANCE_PERCENT).toFixed(),
    };
    const id = `neighbour-${this.#entries}`;
    if (!commitments.fits(id, commitment, timeline.nowMs)) return;
    this.#entries += 1;
    this.#isBusy = true;
    commitments.add(id, commitment, timeline.nowMs);
    this.#parts.trace?.(`the neighbour commits ${commitment.margin}`);
    const units = margin.times(LEVERAGE).div(trading.lastPrice(SYMBOL)).toDecimalPlaces(1);
    this.#after(ON_ITS_WAY_MS, () => {
      this.#ask({ side: "Buy", qty: units.toFixed() });
      this.#onceHeld(true, () => {
        this.#after(TOLD_AFTER_MS, () => commitments.settle(id, timeline.nowMs));
        this.#after(HOLDS_MS, () => this.#close());
      });
    });
  }

  #close(): void {
    const held = this.#held;
    if (!held.isZero()) this.#ask({ side: "Sell", qty: held.toFixed(), reduceOnly: true });
    this.#onceHeld(false, () => (this.#isBusy = false));
  }

  get #held(): Decimal {
    const account = this.#parts.exchange.exchange.findKey(API_KEY)?.account;
    const size = account?.positions.get(SYMBOL)?.holding.size;
    return new Decimal(size?.toFixed() ?? 0);
  }

  #onceHeld(wanted: boolean, then: () => void): void {
    if (this.#held.isZero() !== wanted) then();
    else this.#parts.timeline.after(LOOK_MS, () => this.#onceHeld(wanted, then));
  }

  #after(mostMs: number, then: () => void): void {
    this.#parts.timeline.after(Math.floor(this.#parts.random() * mostMs), then);
  }

  #ask(order: object): void {
    this.#parts.observer().touched({});
    this.#parts.trace?.(`the neighbour orders ${JSON.stringify(order)}`);
    const parameters = { ...CATEGORY, orderType: "Market", ...order };
    const { retCode, retMsg } = this.#parts.exchange.request(
      "POST /v5/order/create",
      parameters,
      API_KEY,
    );
    if (retCode !== 0) this.#parts.trace?.(`the neighbour is refused: ${retMsg}`);
    this.#parts.observer().look();
  }
}
