import { Decimal, ZERO } from "./money.ts";
import type { Side } from "./order.ts";

/** A one-way position. `entryValue` is Σ quantity × price of what is open: exact, unlike an average price. */
export interface Holding {
  /** Base coin; above zero long, below zero short. */
  readonly size: Decimal;
  readonly entryValue: Decimal;
}

export interface Trade {
  readonly side: Side;
  readonly quantity: Decimal;
  readonly price: Decimal;
}

export interface HoldingChange {
  readonly holding: Holding;
  readonly closedQuantity: Decimal;
  /** Profit of the closed part in USDT, before fees. */
  readonly realisedPnl: Decimal;
}

export const FLAT: Holding = { size: ZERO, entryValue: ZERO };

/** Decimals to which the entry value of a partly closed position is split. What is cut off stays with the open rest. */
const SPLIT_DECIMALS = 8;

/** The position after a trade: grows, shrinks, closes, or turns round. */
export function applyTrade(holding: Holding, trade: Trade): HoldingChange {
  const signed = trade.side === "Buy" ? trade.quantity : trade.quantity.negated();
  const value = trade.quantity.times(trade.price);
  const grows = holding.size.isZero() || holding.size.isPositive() === signed.isPositive();
  if (grows) {
    const entryValue = holding.entryValue.plus(value);
    return {
      holding: { size: holding.size.plus(signed), entryValue },
      closedQuantity: ZERO,
      realisedPnl: ZERO,
    };
  }
  return shrink(holding, trade);
}

function shrink(holding: Holding, trade: Trade): HoldingChange {
  const held = holding.size.abs();
  const long = holding.size.isPositive();
  const closed = Decimal.min(trade.quantity, held);
  const released = closed.eq(held)
    ? holding.entryValue
    : holding.entryValue.times(closed).div(held).toDecimalPlaces(SPLIT_DECIMALS);
  const proceeds = closed.times(trade.price);
  const realisedPnl = long ? proceeds.minus(released) : released.minus(proceeds);
  const rest = trade.quantity.minus(closed);
  const left = held.minus(closed);
  const after =
    rest.isPositive() && !rest.isZero()
      ? { size: long ? rest.negated() : rest, entryValue: rest.times(trade.price) }
      : { size: long ? left : left.negated(), entryValue: holding.entryValue.minus(released) };
  return {
    holding: after.size.isZero() ? FLAT : after,
    closedQuantity: closed,
    realisedPnl,
  };
}

export function sideOf(holding: Holding): Side | "" {
  if (holding.size.isZero()) return "";
  return holding.size.isPositive() ? "Buy" : "Sell";
}

/** Mean entry price to 8 decimals (a quotient: for display and margins, never for the ledger); undefined when flat. */
export function averagePrice(holding: Holding): Decimal | undefined {
  if (holding.size.isZero()) return undefined;
  return holding.entryValue.div(holding.size.abs()).toDecimalPlaces(8);
}

export function unrealisedPnl(holding: Holding, price: Decimal): Decimal {
  const value = holding.size.abs().times(price);
  return holding.size.isPositive()
    ? value.minus(holding.entryValue)
    : holding.entryValue.minus(value);
}
