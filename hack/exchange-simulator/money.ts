import { Decimal as DecimalJs } from "decimal.js";

/**
 * Exact decimals. 64 significant digits hold every product that occurs here (price × quantity × rate needs fewer than 40),
 * so sums over executions equal the wallet to the last digit; only divisions round.
 */
export const Decimal = DecimalJs.clone({ defaults: true, precision: 64 });
export type Decimal = DecimalJs;

export const ZERO = new Decimal(0);

/** A decimal as Bybit writes it: never in exponential notation. */
export function text(value: Decimal): string {
  return value.toFixed();
}

/** Like `text`, but "" for what is not set. */
export function optionalText(value: Decimal | undefined): string {
  return value === undefined ? "" : text(value);
}

export function isMultipleOf(value: Decimal, step: Decimal): boolean {
  return value.mod(step).isZero();
}
