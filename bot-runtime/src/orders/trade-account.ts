import type { Execution, PositionSide } from "../exchange/exchange.ts";
import {
  type Amount,
  amount,
  Decimal,
  meanPrice,
  type Price,
  type Quantity,
  quantity,
  ZERO_AMOUNT,
  ZERO_QUANTITY,
} from "../money.ts";

/** Which executions belong to a trade: its entry's by id, and whatever reduced the position after that. */
export interface TradeIdentity {
  readonly entryId: string;
  readonly side: PositionSide;
}

/** One execution's share in a trade; whole unless a foreign order reduced more than the trade held. */
export interface TradeFill {
  readonly execution: Execution;
  readonly purpose: "entry" | "exit";
  readonly quantity: Quantity;
  readonly fee: Amount;
}

/** A trade as its executions tell it; nothing is remembered, so a restart finds the same. */
export interface TradeAccount {
  readonly fills: readonly TradeFill[];
  readonly entered: Quantity;
  readonly exited: Quantity;
  /** What is still held of it. */
  readonly open: Quantity;
  /** Price × quantity of all that was entered. */
  readonly entryValue: Amount;
  readonly entryPrice: Price | undefined;
  readonly exitPrice: Price | undefined;
  readonly fees: Amount;
  /** Result of what is closed less all fees: `result` plus what the open part cost. The same as `result` once `open` is zero. */
  readonly realised: Amount;
  /** Gross result of all fills less fees; the trade's profit once `open` is zero. */
  readonly result: Amount;
  readonly openedMs: number | undefined;
  readonly closedMs: number | undefined;
  /** What closed the last part. */
  readonly lastExit: Execution | undefined;
}

/**
 * Accounts for a trade from a symbol's executions, oldest first. A symbol belongs to one bot, so every opposite execution
 * after the entry reduces this trade: its own exit, its stop or target, a liquidation, or its owner by hand.
 */
export function accountForTrade(
  trade: TradeIdentity,
  executions: readonly Execution[],
): TradeAccount {
  const entrySide = trade.side === "long" ? "buy" : "sell";
  const fills: TradeFill[] = [];
  let open = ZERO_QUANTITY;
  for (const execution of executions) {
    if (execution.clientOrderId === trade.entryId) {
      open = quantity(open.plus(execution.quantity));
      fills.push({ execution, purpose: "entry", quantity: execution.quantity, fee: execution.fee });
    } else if (execution.side !== entrySide && open.gt(0)) {
      const units = quantity(Decimal.min(open, execution.quantity));
      open = quantity(open.minus(units));
      fills.push({
        execution,
        purpose: "exit",
        quantity: units,
        fee: shareOfFee(execution, units),
      });
    }
  }
  const sums = totals(trade.side, fills);
  return { ...sums, fills, open, realised: realisedPart(trade.side, sums, open) };
}

/** Of several entry fills the open part has its share in the cost; exact as long as nothing is closed, and again once all is. */
function realisedPart(
  side: PositionSide,
  { result, entered, entryValue }: ReturnType<typeof totals>,
  open: Quantity,
): Amount {
  if (open.isZero()) return result;
  const cost = entryValue.times(open).div(entered).toDecimalPlaces(SHARE_PLACES);
  return amount(side === "long" ? result.plus(cost) : result.minus(cost));
}

/** Places kept of a share: what a protocol can carry. */
const SHARE_PLACES = 16;

function shareOfFee(execution: Execution, units: Quantity): Amount {
  if (units.eq(execution.quantity)) return execution.fee;
  // A fraction that nobody's ledger states: cut to what a protocol can carry.
  return amount(execution.fee.times(units).div(execution.quantity).toDecimalPlaces(SHARE_PLACES));
}

function totals(side: PositionSide, fills: readonly TradeFill[]) {
  const entry = sum(fills.filter((fill) => fill.purpose === "entry"));
  const exit = sum(fills.filter((fill) => fill.purpose === "exit"));
  const gross = side === "long" ? exit.value.minus(entry.value) : entry.value.minus(exit.value);
  const fees = amount(entry.fees.plus(exit.fees));
  return {
    entered: entry.quantity,
    entryValue: entry.value,
    exited: exit.quantity,
    entryPrice: entry.quantity.isZero() ? undefined : meanPrice(entry.value, entry.quantity),
    exitPrice: exit.quantity.isZero() ? undefined : meanPrice(exit.value, exit.quantity),
    fees,
    result: amount(gross.minus(fees)),
    openedMs: entry.first?.atMs,
    closedMs: exit.last?.atMs,
    lastExit: exit.last,
  };
}

function sum(fills: readonly TradeFill[]) {
  let total = ZERO_AMOUNT;
  let units = ZERO_QUANTITY;
  let fees = ZERO_AMOUNT;
  for (const fill of fills) {
    total = amount(total.plus(fill.execution.price.times(fill.quantity)));
    units = quantity(units.plus(fill.quantity));
    fees = amount(fees.plus(fill.fee));
  }
  return {
    value: total,
    quantity: units,
    fees,
    first: fills[0]?.execution,
    last: fills.at(-1)?.execution,
  };
}
