import { Decimal as BaseDecimal } from "decimal.js";
import { oncePer } from "./once-per.ts";

/**
 * Exact decimals. 64 significant digits hold every product of a price and a quantity that an exchange can state, so sums
 * and products are exact; only a division rounds. Never printed with an exponent.
 */
export const Decimal = BaseDecimal.clone({
  precision: 64,
  rounding: BaseDecimal.ROUND_HALF_EVEN,
  toExpNeg: -64,
  toExpPos: 64,
});
export type Decimal = BaseDecimal;

/** Quote currency per unit of the base currency. */
export type Price = Decimal & { readonly __unit: "price" };
/** Base currency. */
export type Quantity = Decimal & { readonly __unit: "quantity" };
/** Quote currency: values, fees, profits, balances. */
export type Amount = Decimal & { readonly __unit: "amount" };

type Given = string | Decimal;

const halfOf = oncePer((step: Decimal) => step.div(2));

/** Places kept of a quotient (a mean price): more than any exchange states, short enough for a `DecimalString`. */
const QUOTIENT_PLACES = 16;

export function price(given: Given): Price {
  const decimal = decimalOf(given);
  if (isPrice(decimal)) return decimal;
  throw notAnAmount(given);
}

export function quantity(given: Given): Quantity {
  const decimal = decimalOf(given);
  if (isQuantity(decimal)) return decimal;
  throw notAnAmount(given);
}

export function amount(given: Given): Amount {
  const decimal = decimalOf(given);
  if (isAmount(decimal)) return decimal;
  throw notAnAmount(given);
}

export const ZERO_AMOUNT = amount("0");
export const ZERO_QUANTITY = quantity("0");

/** What `units` cost at `unitPrice`: exact. */
export function value(unitPrice: Price, units: Quantity): Amount {
  return amount(unitPrice.times(units));
}

/** Mean price of `units` that cost `total`; rounded at 16 places, for display and levels, never for the ledger. */
export function meanPrice(total: Amount, units: Quantity): Price {
  return price(total.div(units).toDecimalPlaces(QUOTIENT_PLACES));
}

export function add(left: Amount, right: Amount): Amount {
  // Nothing is what a flat bot adds most often.
  return right.isZero() ? left : amount(left.plus(right));
}

export function subtract(left: Amount, right: Amount): Amount {
  return amount(left.minus(right));
}

/** Exact text as the protocols want it: no exponent, no needless zeros. */
export function text(decimal: Decimal): string {
  return decimal.isZero() ? "0" : decimal.toFixed();
}

/** The multiple of `step` nearest to a `decimal` that is not negative; a half goes up. */
export function roundToStep(decimal: Decimal, step: Decimal): Decimal {
  // Whole steps by one integer division: a quotient of 64 digits takes three times as long.
  return decimal.plus(halfOf(step)).divToInt(step).times(step);
}

/** Decimals never change: one that is there needs no copy. */
function decimalOf(given: Given): Decimal {
  return given instanceof Decimal ? given : new Decimal(given);
}

// Whoever calls `price`, `quantity` or `amount` says what the number is: these only see to it that it is one.
function isPrice(decimal: Decimal): decimal is Price {
  return decimal.isFinite();
}

function isQuantity(decimal: Decimal): decimal is Quantity {
  return decimal.isFinite();
}

function isAmount(decimal: Decimal): decimal is Amount {
  return decimal.isFinite();
}

function notAnAmount(given: Given): Error {
  return new Error(`not an amount: ${String(given)}`);
}
