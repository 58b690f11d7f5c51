import { MAINTENANCE_MARGIN_RATE } from "./instruments.ts";
import { Decimal } from "./money.ts";
import type { Side } from "./order.ts";

// Formulas: Bybit help centre, "Initial Margin (USDT Contract)" and "Order Cost (USDT Contract)". Quotients are rounded to
// MARGIN_DECIMALS; margins decide what is accepted and are shown, the ledger never contains them.
const MARGIN_DECIMALS = 8;

export interface MarginTerms {
  readonly leverage: Decimal;
  /** Share of the value that a taker pays. */
  readonly takerFeeRate: Decimal;
}

/** Margin of a position: its entry value over the leverage, and the fee for closing it at the bankruptcy price. */
export function initialMargin(side: Side, entryValue: Decimal, terms: MarginTerms): Decimal {
  return entryValue
    .div(terms.leverage)
    .plus(closingFee(side, entryValue, terms))
    .toDecimalPlaces(MARGIN_DECIMALS);
}

/** Margin that an opening order needs: its position's, and the fee for opening it. */
export function orderMargin(side: Side, value: Decimal, terms: MarginTerms): Decimal {
  return initialMargin(side, value, terms).plus(value.times(terms.takerFeeRate));
}

export function maintenanceMargin(side: Side, entryValue: Decimal, terms: MarginTerms): Decimal {
  return entryValue
    .times(MAINTENANCE_MARGIN_RATE)
    .plus(closingFee(side, entryValue, terms))
    .toDecimalPlaces(MARGIN_DECIMALS);
}

/** The bankruptcy price lies one leverage-th of the entry price on the losing side. */
function closingFee(side: Side, entryValue: Decimal, terms: MarginTerms): Decimal {
  const { leverage, takerFeeRate } = terms;
  const share = new Decimal(1)
    .div(leverage)
    .times(side === "Buy" ? -1 : 1)
    .plus(1);
  return entryValue.times(share).times(takerFeeRate);
}
