import type { Market } from "../exchange/exchange.ts";
import {
  type Amount,
  amount,
  Decimal,
  floorToStep,
  type Price,
  quantity,
  type Quantity,
  value,
} from "../money.ts";

export interface SizingInput {
  readonly equity: Amount;
  readonly price: Price;
  readonly positionPercent: number;
  readonly leverage: number;
  readonly market: Pick<Market, "quantityStep" | "maximumQuantity">;
}

export interface Size {
  readonly quantity: Quantity;
  /** At the price given; of the rounded quantity. */
  readonly value: Amount;
  /** What of the equity the position takes at this leverage. */
  readonly margin: Amount;
}

/**
 * Quantity of a position whose margin is `positionPercent` of equity: equity × percent / 100 × leverage / price, cut to the
 * lot's step, so that rounding never risks more than asked. At most what one market order may have.
 */
export function positionSize(input: SizingInput): Size {
  const { equity, price, positionPercent, leverage, market } = input;
  const wanted = equity.times(positionPercent).div(100).times(leverage).div(price);
  const allowed = Decimal.max(Decimal.min(wanted, market.maximumQuantity), 0);
  const units = quantity(floorToStep(allowed, market.quantityStep));
  const total = value(price, units);
  return { quantity: units, value: total, margin: amount(total.div(leverage)) };
}
