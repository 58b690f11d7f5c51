import type { PositionSide } from "../exchange/exchange.ts";
import { type Amount, amount, type Decimal, type Quantity } from "../money.ts";
import {
  dividedHalfUp,
  type FixedPoint,
  fixedPointText,
  powerOfTen,
  toFixedPoint,
} from "./fixed-point.ts";
import type { PriceScale } from "./price-scale.ts";

/** What closed a position: its stop, its target, the strategy, or the end of the candles. */
export type ExitReason = "stop" | "target" | "signal" | "end";

/** Index of the bar in which it happened; prices and values in the places of the ledger. */
export interface Opening {
  readonly side: PositionSide;
  readonly entryIndex: number;
  readonly entryPrice: FixedPoint;
  /** Quantity × price. */
  readonly entryValue: FixedPoint;
}

export interface Closing {
  readonly exitIndex: number;
  readonly exitPrice: FixedPoint;
  readonly reason: ExitReason;
  /** Whether it closed at its bar's open, so that it was not in the market during that bar. */
  readonly atOpen: boolean;
}

/** A position from its opening to its closing. */
export interface BacktestTrade extends Opening, Closing {
  /** Of both fills. */
  readonly fees: FixedPoint;
  /** Gross result less fees. */
  readonly pnl: FixedPoint;
}

/** Decimal places of a run's numbers: prices, values of fills, fees and results. */
export interface Places {
  readonly price: number;
  readonly value: number;
  readonly amount: number;
}

/** Finer than any exchange's step. */
const QUANTITY_PLACES = 16;

/**
 * Books trades: the only place where money moves. Its places have room for every product. The value of an exit is
 * entry value × exit price / entry price: exact for a position of a whole quantity, and for one that was given by its value
 * rounded to the places of a value (16 more than a price has), the only rounding there is.
 */
export class Ledger {
  readonly places: Places;
  readonly #feeRate: bigint;
  readonly #feeUnit: bigint;
  readonly #trades: BacktestTrade[] = [];
  #result: FixedPoint = 0n;

  /** `feePercent` of a fill's value is paid for each fill. */
  constructor(scale: PriceScale, feePercent: Decimal) {
    const rate = feePercent.div(100);
    const ratePlaces = rate.decimalPlaces();
    this.#feeRate = toFixedPoint(rate, ratePlaces);
    this.#feeUnit = powerOfTen(ratePlaces);
    const valuePlaces = scale.places + QUANTITY_PLACES;
    this.places = { price: scale.places, value: valuePlaces, amount: valuePlaces + ratePlaces };
  }

  get trades(): readonly BacktestTrade[] {
    return this.#trades;
  }

  /** Sum of all trades' results. */
  get result(): Amount {
    return this.#amount(this.#result);
  }

  /** Value of a position of `units`. */
  valueOf(units: Quantity, entryPrice: FixedPoint): FixedPoint {
    return toFixedPoint(units, QUANTITY_PLACES) * entryPrice;
  }

  /** A value given as such. */
  value(given: Amount): FixedPoint {
    return toFixedPoint(given, this.places.value);
  }

  book(opening: Opening, closing: Closing): void {
    const { side, entryIndex, entryPrice, entryValue } = opening;
    const { exitIndex, exitPrice, reason, atOpen } = closing;
    const exitValue = valueAt(opening, exitPrice);
    const fees = (entryValue + exitValue) * this.#feeRate;
    const pnl = gross(opening, exitValue) * this.#feeUnit - fees;
    this.#result += pnl;
    const opened = { side, entryIndex, entryPrice, entryValue };
    this.#trades.push({ ...opened, exitIndex, exitPrice, reason, atOpen, fees, pnl });
  }

  /** Sum of all trades' results, and what an open position has earned by `price`, with the fee of its entry. */
  resultWith(opening: Opening, price: FixedPoint): Amount {
    const result = gross(opening, valueAt(opening, price)) * this.#feeUnit;
    return this.#amount(this.#result + result - opening.entryValue * this.#feeRate);
  }

  #amount(value: FixedPoint): Amount {
    return amount(fixedPointText(value, this.places.amount));
  }
}

/** Quantity of a position, in the places of a quantity (16). */
export function quantityText({ entryValue, entryPrice }: Opening): string {
  return fixedPointText(dividedHalfUp(entryValue, entryPrice), QUANTITY_PLACES);
}

function valueAt({ entryPrice, entryValue }: Opening, price: FixedPoint): FixedPoint {
  return dividedHalfUp(entryValue * price, entryPrice);
}

function gross({ side, entryValue }: Opening, exitValue: FixedPoint): FixedPoint {
  return side === "long" ? exitValue - entryValue : entryValue - exitValue;
}
