import type { BotConfig } from "@tradingbots/crds";
import type { Market } from "../exchange/exchange.ts";
import {
  add,
  type Amount,
  type Price,
  price,
  quantity,
  subtract,
  ZERO_AMOUNT,
  ZERO_QUANTITY,
} from "../money.ts";
import { positionSize, type Size } from "../orders/sizing.ts";
import { entryRefusal, firstBlock, type Standing } from "../risk/gate.ts";

export type Risk = BotConfig["risk"];

/**
 * How large positions are.
 *
 * - `notional`: each has this value at its fill price, whatever was won or lost before. Without an account no share of one can be
 *   measured, and nothing is liquidated: of the gate's checks minConfidence remains.
 * - `account`: as a bot sizes them, from the account's equity and the close of the signal's candle, cut to the quantity step; the
 *   whole gate applies. The account starts with `balance`.
 */
export type Sizing =
  | { readonly kind: "notional"; readonly notional: Amount }
  | {
      readonly kind: "account";
      readonly balance: Amount;
      readonly market: Omit<Market, "tick">;
    };

/** What the gate said against entries: how often, and the first sentence. */
export interface RefusalCount {
  readonly message: string;
  readonly count: number;
}

const DAY_MS = 86_400_000;

/** A bot to which nothing happens: over history neither journal nor exchange nor owner can stand in the way. */
const UNDISTURBED = {
  symbol: "the candles",
  symbolTraded: true,
  journal: "ready",
  leaseRemainingMs: Number.POSITIVE_INFINITY,
  key: undefined,
  clock: { skewMs: 0, uncertaintyMs: 0 },
  stalledMs: undefined,
  reconciled: true,
  foreign: undefined,
  unusable: undefined,
  consecutiveErrors: 0,
  dataAgeMs: 0,
} as const;

/** Limits where there is no account. Money for twice the position: no stop lies near what would liquidate it. */
const UNLIMITED = {
  leverage: 0.5,
  positionPercent: 100,
  balancePercent: 100,
  dailyLossPercent: 100,
};

/** Trading rules where there is no exchange: every size and leverage can be had. */
const NO_MARKET: Market = {
  symbol: UNDISTURBED.symbol,
  quoteCurrency: "",
  tick: price("1e-24"),
  quantityStep: quantity("1e-24"),
  minimumQuantity: ZERO_QUANTITY,
  maximumQuantity: quantity("1e24"),
  minimumValue: ZERO_AMOUNT,
  maximumLeverage: Number.POSITIVE_INFINITY,
};

/** Money is worked out only where it is asked for: that takes longer than all the rest. */
interface EntrySignal {
  readonly confidence: number;
  /** Of the signal's candle. */
  readonly close: () => Price;
  /** Of all trades so far. */
  readonly result: () => Amount;
}

interface Money {
  readonly size: Size;
  readonly equity: Amount;
  readonly day: Pick<Standing, "dayBaseline" | "dayResult">;
}

/** Sizes entries and asks the risk gate, which is the bots' own. */
export class EntryDesk {
  readonly #sizing: Sizing;
  readonly #market: Market;
  readonly #config: Standing["config"];
  readonly #refusals = new Map<string, RefusalCount>();
  /** The weakest signal that passed while nothing but confidence can differ, and its size. */
  #passed: { readonly confidence: number; readonly size: Size } | undefined;
  /** Result of all trades when the day at hand began. */
  #dayStartsFrom = ZERO_AMOUNT;

  constructor(sizing: Sizing, risk: Risk, tick = NO_MARKET.tick) {
    this.#sizing = sizing;
    this.#market = sizing.kind === "account" ? { ...sizing.market, tick } : NO_MARKET;
    this.#config = {
      state: "Running",
      autoTrade: true,
      halts: [],
      risk: sizing.kind === "account" ? risk : { ...risk, ...UNLIMITED },
    };
  }

  get refusals(): ReadonlyMap<string, RefusalCount> {
    return this.#refusals;
  }

  /** First ms of the UTC day after the one of `closeTimeMs`; a candle that closes at 00:00 begins the new day. */
  static nextDayMs(closeTimeMs: number): number {
    return (Math.floor(closeTimeMs / DAY_MS) + 1) * DAY_MS;
  }

  /** `result`: of all trades so far, with what is open as it stands. */
  beginDay(result: Amount): void {
    this.#dayStartsFrom = result;
  }

  /** At the close of a signal's candle, while flat: the size of the entry, or undefined when the gate refuses it. */
  ask(signal: EntrySignal): Size | undefined {
    // The gate is pure, and never refuses a signal for being stronger: without an account, where no other fact ever changes, it
    // need not be asked again. It takes twice as long as all the rest of a trade.
    if (this.#passed !== undefined && signal.confidence >= this.#passed.confidence)
      return this.#passed.size;
    const size = this.#askGate(signal);
    if (size !== undefined && this.#sizing.kind === "notional")
      this.#passed = { confidence: signal.confidence, size };
    return size;
  }

  #askGate(signal: EntrySignal): Size | undefined {
    const money = this.#money(signal);
    const { size } = money;
    const refusal =
      firstBlock({ ...UNDISTURBED, config: this.#config, ...money.day }) ??
      entryRefusal({
        risk: this.#config.risk,
        confidence: signal.confidence,
        size,
        equity: money.equity,
        committed: ZERO_AMOUNT,
        price: signal.close(),
        market: this.#market,
      });
    if (refusal === undefined) return size;
    const { reason, message } = refusal;
    const known = this.#refusals.get(reason);
    this.#refusals.set(reason, { message, ...known, count: (known?.count ?? 0) + 1 });
    return undefined;
  }

  /** Without an account each position has its own money, all of which it takes. */
  #money(signal: EntrySignal): Money {
    const sizing = this.#sizing;
    if (sizing.kind === "notional") {
      const { notional } = sizing;
      const size = { quantity: ZERO_QUANTITY, value: notional, margin: notional };
      const day = { dayBaseline: notional, dayResult: ZERO_AMOUNT };
      return { size, equity: notional, day };
    }
    const { positionPercent, leverage } = this.#config.risk;
    const result = signal.result();
    const equity = add(sizing.balance, result);
    const { market } = sizing;
    return {
      size: positionSize({ equity, price: signal.close(), positionPercent, leverage, market }),
      equity,
      day: {
        dayBaseline: add(sizing.balance, this.#dayStartsFrom),
        dayResult: subtract(result, this.#dayStartsFrom),
      },
    };
  }
}
