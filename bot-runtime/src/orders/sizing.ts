import type { Market } from "../exchange/exchange.ts";
import {
  type Amount,
  amount,
  type Decimal,
  type Price,
  quantity,
  type Quantity,
  value,
  ZERO_QUANTITY,
} from "../money.ts";
import { oncePer } from "../once-per.ts";

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

const hundredOf = oncePer((step: Quantity) => step.times(100));

/**
 * Quantity of a position whose margin is `positionPercent` of equity: equity × percent / 100 × leverage / price, cut to the
 * lot's step, so that rounding never risks more than asked. At most what one market order may have.
 */
export function positionSize(input: SizingInput): Size {
  const { equity, price, positionPercent, leverage, market } = input;
  const { quantityStep, maximumQuantity } = market;
  // Whole steps by one integer division: quotients of 64 digits were a third of an order's time.
  const margin = equity.times(positionPercent).times(leverage);
  const wanted = margin.divToInt(price.times(hundredOf(quantityStep)));
  const fits = wanted.times(quantityStep);
  const allowed = fits.lte(maximumQuantity) ? fits : wholeSteps(maximumQuantity, quantityStep);
  const units = allowed.isNegative() ? ZERO_QUANTITY : quantity(allowed);
  const total = value(price, units);
  return { quantity: units, value: total, margin: amount(total.div(leverage)) };
}

function wholeSteps(most: Quantity, step: Quantity): Decimal {
  return most.divToInt(step).times(step);
}

/** Whether what is held is worth less than the exchange opens a position for; false where that is not known. */
export function isDust(
  market: Pick<Market, "minimumValue"> | undefined,
  entryPrice: Price | undefined,
  held: Quantity,
): boolean {
  if (market === undefined || entryPrice === undefined) return false;
  return value(entryPrice, held).lt(market.minimumValue);
}
