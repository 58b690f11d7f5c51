import type { InProcessExchange } from "../../../hack/exchange-simulator/in-process.ts";
import { Decimal } from "../../src/money.ts";
import type { Observer } from "./observer.ts";
import { API_KEY } from "./platform.ts";

interface HandParts {
  readonly exchange: InProcessExchange;
  readonly observer: Observer;
  /** The exchange shows positions late. */
  readonly seenLate: boolean;
  readonly trace: ((line: string) => void) | undefined;
}

/** On which the bot's owner trades beside the bot. */
export const HAND_SYMBOL = "BTCUSDT";
/** Of a bot's position of 0.02 to 0.05 it leaves, or takes, as little as cannot be closed alone. */
const UNITS = "0.02";
/** Three quarters of the account at a hundredfold leverage: a move of a percent ends it. */
const BET = { symbol: "ETHUSDT", units: "300", leverage: "100" };
/** An entry has been filled, or never will be, this long after it was sent, ms. */
const ENTRY_MS = 25_000;
/** An entry that was sent is accepted within this time, or never, ms. */
const LATEST_ENTRY_MS = 7_000;
const CATEGORY = { category: "linear", symbol: HAND_SYMBOL, positionIdx: 0 };

/** The account's owner, who trades on it beside the bot. */
export class Hand {
  readonly #parts: HandParts;
  /** Bought by hand and not sold since; below zero sold. */
  #held = new Decimal(0);

  constructor(parts: HandParts) {
    this.#parts = parts;
  }

  /** Opens a position with a stop where the bot holds nothing and has nothing on its way. False: not now. */
  open(): boolean {
    const { world } = this.#parts.observer;
    const isHeld = world.account.positions.get(HAND_SYMBOL)?.holding.size.isZero() === false;
    const isQuiet = !isHeld && world.openingAgeMs() > LATEST_ENTRY_MS;
    const isOpening = world.ownOrders.some(({ order }) => world.account.openOrders.has(order.id));
    if (!isQuiet || isOpening) return false;
    this.#held = this.#held.plus(UNITS);
    // So far away that the market does not come there.
    const order = {
      side: "Buy",
      orderType: "Market",
      qty: UNITS,
      stopLoss: "1000",
      tpslMode: "Full",
    };
    this.#ask("POST /v5/order/create", order);
    this.#parts.observer.touched({ opened: HAND_SYMBOL });
    return true;
  }

  /** Bets the account on another symbol, without a stop. False: not now, as the bot holds nothing. */
  bet(): boolean {
    if (this.#parts.observer.world.own(HAND_SYMBOL).isZero()) return false;
    const { symbol, units: qty, leverage } = BET;
    const both = { buyLeverage: leverage, sellLeverage: leverage };
    this.#parts.observer.touched({});
    this.#ask("POST /v5/position/set-leverage", { symbol, ...both });
    this.#ask("POST /v5/order/create", { symbol, side: "Buy", orderType: "Market", qty });
    return true;
  }

  act(kind: "hand-adds" | "hand-reduces" | "hand-strips"): void {
    const own = this.#parts.observer.world.own(HAND_SYMBOL);
    const growing = own.isNegative() ? "Sell" : "Buy";
    if (kind === "hand-adds") {
      // Against an entry on its way the exchange would net both, and nobody could say whose the rest is.
      const mayMeet = this.#parts.seenLate || this.#parts.observer.world.openingAgeMs() < ENTRY_MS;
      if (own.isZero() && mayMeet) return;
      this.#held = this.#held.plus(growing === "Buy" ? UNITS : `-${UNITS}`);
      this.#ask("POST /v5/order/create", { side: growing, orderType: "Market", qty: UNITS });
      this.#parts.observer.touched({});
      return;
    }
    // Both need a position of the bot's.
    if (own.isZero()) return;
    if (kind === "hand-reduces") {
      const side = growing === "Buy" ? "Sell" : "Buy";
      this.#parts.observer.touched({});
      this.#ask("POST /v5/order/create", {
        side,
        orderType: "Market",
        qty: UNITS,
        reduceOnly: true,
      });
      return;
    }
    this.#strip();
  }

  /** Takes the stop from a position of the bot's whose entry the exchange does not show. False: not now, as there is none. */
  stripHidden(): boolean {
    const { own, opener, account } = this.#parts.observer.world;
    const order = opener(HAND_SYMBOL)?.order;
    const isHidden = order !== undefined && account.hiddenOrders.has(order.id);
    if (own(HAND_SYMBOL).isZero() || !isHidden) return false;
    this.#strip();
    return true;
  }

  #strip(): void {
    this.#parts.observer.touched({ stripped: HAND_SYMBOL });
    this.#ask("POST /v5/position/trading-stop", { tpslMode: "Full", stopLoss: "0" });
  }

  /** Whatever is left of what was bought or sold by hand goes, so that the bot can end alone. */
  withdraw(): void {
    if (this.#held.isZero()) return;
    const side = this.#held.isPositive() ? "Sell" : "Buy";
    const { account } = this.#parts.observer.world;
    const held = account.positions.get(HAND_SYMBOL)?.holding.size.abs().toFixed() ?? "0";
    const excess = new Decimal(held).minus(this.#parts.observer.world.own(HAND_SYMBOL).abs());
    if (excess.lte(0)) return;
    this.#parts.observer.touched({});
    const order = { side, orderType: "Market", reduceOnly: true };
    const isTaken = this.#ask("POST /v5/order/create", { ...order, qty: excess.toFixed() });
    // Too little to be sold alone: all that is held goes with it, the bot's too.
    if (!isTaken) this.#ask("POST /v5/order/create", { ...order, qty: "0", closeOnTrigger: true });
  }

  #ask(endpoint: string, parameters: object): boolean {
    this.#parts.trace?.(`by hand: ${endpoint} ${JSON.stringify(parameters)}`);
    const { retCode, retMsg } = this.#parts.exchange.request(
      endpoint,
      { ...CATEGORY, ...parameters },
      API_KEY,
    );
    if (retCode !== 0) this.#parts.trace?.(`by hand: ${retMsg}`);
    this.#parts.observer.look();
    return retCode === 0;
  }
}
