import type { PositionSide } from "../exchange/exchange.ts";
import { Decimal, type Price } from "../money.ts";
import type { LevelPercents } from "../orders/levels.ts";
import type { CandleTable } from "./candle-table.ts";
import { dividedHalfUp, type FixedPoint, powerOfTen, toFixedPoint } from "./fixed-point.ts";

export interface LevelRules extends LevelPercents {
  /** What levels are rounded to; undefined: not at all. */
  readonly tick: Price | undefined;
}

export interface FixedLevels {
  readonly stop: FixedPoint;
  readonly target: FixedPoint;
}

/**
 * Prices of one run as whole numbers of 10^-places, fine enough for every price of its candles, for levels before rounding and
 * for the tick; and the levels of `orders/levels.ts` in them.
 */
export class PriceScale {
  readonly places: number;
  readonly #barSteps: number;
  readonly #barUnit: bigint;
  readonly #factorUnit: bigint;
  readonly #down: FixedLevels;
  readonly #up: FixedLevels;
  readonly #tick: FixedPoint | undefined;

  constructor({ priceDecimals }: Pick<CandleTable, "priceDecimals">, rules: LevelRules) {
    const stop = new Decimal(rules.stopLossPercent).div(100);
    const target = new Decimal(rules.takeProfitPercent).div(100);
    const factorPlaces = Math.max(stop.decimalPlaces(), target.decimalPlaces());
    const factor = (share: Decimal): bigint => toFixedPoint(share.plus(1), factorPlaces);
    this.places = Math.max(priceDecimals + factorPlaces, rules.tick?.decimalPlaces() ?? 0);
    this.#barSteps = 10 ** priceDecimals;
    this.#barUnit = powerOfTen(this.places - priceDecimals);
    this.#factorUnit = powerOfTen(factorPlaces);
    this.#down = { stop: factor(stop.negated()), target: factor(target) };
    this.#up = { stop: factor(stop), target: factor(target.negated()) };
    this.#tick = rules.tick && toFixedPoint(rules.tick, this.places);
  }

  /**
   * The price that a bar's double stands for. Exact: the product is less than a quarter away from a whole number below 10^15
   * (`CandleTable`).
   */
  price(barPrice: number): FixedPoint {
    return BigInt(Math.round(barPrice * this.#barSteps)) * this.#barUnit;
  }

  /** Stop and target of a position: as `protectionLevels` has them for a bot, or unrounded without a tick. */
  levels(side: PositionSide, fill: FixedPoint): FixedLevels {
    const factors = side === "long" ? this.#down : this.#up;
    return { stop: this.#level(fill, factors.stop), target: this.#level(fill, factors.target) };
  }

  #level(fill: FixedPoint, factor: bigint): FixedPoint {
    const exact = fill * factor;
    const tick = this.#tick;
    // `places` has room for all places of the product.
    if (tick === undefined) return exact / this.#factorUnit;
    const ticks = dividedHalfUp(exact, this.#factorUnit * tick);
    return ticks < 1n ? tick : ticks * tick;
  }
}
