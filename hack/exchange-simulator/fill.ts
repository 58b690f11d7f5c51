import { type Account, balancesOf, ordersOf, positionOf } from "./account.ts";
import { book } from "./ledger.ts";
import { orderMargin } from "./margin.ts";
import { type Match, nextMatch, type Tick } from "./matching.ts";
import { Decimal, ZERO } from "./money.ts";
import { isActive, isProtection, type Order, type Side } from "./order.ts";
import { applyTrade, type HoldingChange, sideOf } from "./position.ts";
import { fillRuleFor, rulesOf } from "./settings.ts";
import {
  cancelOrder,
  closeOrder,
  protectionOrders,
  protectPosition,
  type Trading,
} from "./trading.ts";

export interface MarketEvent {
  readonly symbol: string;
  readonly tick: Tick;
}

/**
 * Lets one tick act on all of the account's open orders in `symbol`, the most urgent first, until it moves none. An order that is
 * filled in parts gets one part of it.
 */
export function processTick(account: Account, event: MarketEvent, trading: Trading): void {
  if (account.openOrders.size === 0) return;
  endOrphans(account, event.symbol, trading.now());
  const bornBefore = trading.nextSequence();
  const served = new Set<Order>();
  // Ends: every match closes an order, serves it, makes it rest or activates it, each once; a fill adds at most a stop and a target.
  for (;;) {
    const waiting = ordersOf(account, event.symbol).filter((order) => !served.has(order));
    const next = nextMatch(waiting, event.tick, bornBefore);
    if (next === undefined) return;
    if (next.match.kind === "fill") served.add(next.order);
    applyMatch(account, next, trading);
  }
}

function applyMatch(
  account: Account,
  { order, match }: { readonly order: Order; readonly match: Match },
  trading: Trading,
): void {
  switch (match.kind) {
    case "fill":
      fillOrder(account, { order, match }, trading);
      return;
    case "activate":
      order.status = "New";
      order.updatedMs = trading.now();
      account.publish({ kind: "order", order });
      return;
    case "rest":
      order.resting = true;
      return;
    case "cancel":
      order.rejectReason = "EC_NoImmediateQtyToFill";
      cancelOrder(account, order, { cancelType: "UNKNOWN", nowMs: trading.now() });
      return;
    default:
      match satisfies never;
  }
}

interface Fill {
  readonly order: Order;
  readonly match: Extract<Match, { kind: "fill" }>;
}

function fillOrder(account: Account, { order, match }: Fill, trading: Trading): void {
  const nowMs = trading.now();
  const reducible = reducibleQuantity(account, order);
  if (reducible.isZero()) {
    cancelOrder(account, order, { cancelType: "CancelByReduceOnly", nowMs });
    return;
  }
  if (order.status === "Untriggered" && !canAfford(account, order, trading)) {
    order.rejectReason = "EC_Others";
    closeOrder(account, order, { status: "Rejected", nowMs });
    return;
  }
  const { parts, rest } = fillRuleFor(trading.settings(), order, account.userId);
  if (order.timeInForce === "FOK" && parts > 1) {
    order.rejectReason = "EC_CancelForNoFullFill";
    closeOrder(account, order, { status: "Cancelled", nowMs });
    return;
  }
  if (rest === "unfilled" && order.trigger === undefined && mayNotWait(order)) {
    order.rejectReason = "EC_NoImmediateQtyToFill";
    closeOrder(account, order, { status: "Cancelled", nowMs });
    return;
  }
  const quantity = Decimal.min(reducible, partOf(order, parts, trading));
  const first = order.filledQuantity.isZero();
  const position = positionOf(account, order.symbol);
  const before = sideOf(position.holding);
  const change = applyTrade(position.holding, { side: order.side, quantity, price: match.price });
  bookTrade(account, { order, match, quantity, change }, trading);
  settleRest(account, { order, cancelled: rest === "cancelled", nowMs });
  const after = sideOf(position.holding);
  if (before !== "" && after !== before) {
    orphanProtection(account, order.symbol, trading);
    dropExits(account, order.symbol, nowMs);
    endEntries(account, { symbol: order.symbol, side: before, nowMs });
  }
  if (before !== after) position.createdMs = nowMs;
  const { takeProfit, stopLoss } = order.protection;
  const protects = takeProfit !== undefined || stopLoss !== undefined;
  if (after === order.side && first && protects) {
    protectPosition(account, { symbol: order.symbol, ...order.protection }, trading);
  }
  fitProtection(account, order.symbol);
}

/** A reduce-only order is filled up to the position that it reduces, others whole. */
function reducibleQuantity(account: Account, order: Order): Decimal {
  const leaves = order.quantity.minus(order.filledQuantity);
  if (!order.reduceOnly) return leaves;
  const { holding } = positionOf(account, order.symbol);
  const side = sideOf(holding);
  if (side === "" || side === order.side) return ZERO;
  return Decimal.min(leaves, holding.size.abs());
}

/** One of `parts` equal parts of an order, on the quantity step; the last takes what is left. */
function partOf(order: Order, parts: number, trading: Trading): Decimal {
  const { quantityStep } = rulesOf(trading.settings(), order.symbol);
  return order.quantity.div(parts).toNearest(quantityStep, Decimal.ROUND_UP);
}

/** What becomes of an order after a part of it was filled. */
function settleRest(
  account: Account,
  filled: { readonly order: Order; readonly cancelled: boolean; readonly nowMs: number },
): void {
  const { order, nowMs } = filled;
  if (order.filledQuantity.eq(order.quantity)) {
    closeOrder(account, order, { status: "Filled", nowMs });
  } else if (reducibleQuantity(account, order).isZero()) {
    closeOrder(account, order, { status: "Cancelled", nowMs, cancelType: "CancelByReduceOnly" });
  } else if (filled.cancelled && mayNotWait(order)) {
    order.rejectReason = "EC_NoImmediateQtyToFill";
    closeOrder(account, order, { status: "Cancelled", nowMs });
  } else {
    order.status = "PartiallyFilled";
    order.updatedMs = nowMs;
    account.publish({ kind: "order", order });
  }
}

function canAfford(account: Account, order: Order, trading: Trading): boolean {
  if (order.reduceOnly) return true;
  const { leverage } = positionOf(account, order.symbol);
  const value = order.quantity.times(trading.lastPrice(order.symbol));
  const { available } = balancesOf(account, trading);
  const { takerFeeRate } = trading.settings();
  return orderMargin(order.side, value, { leverage, takerFeeRate }).lte(available);
}

interface Booking extends Fill {
  readonly quantity: Decimal;
  readonly change: HoldingChange;
}

function bookTrade(account: Account, booking: Booking, trading: Trading): void {
  const { order, match, quantity, change } = booking;
  const { makerFeeRate, takerFeeRate } = trading.settings();
  const feeRate = match.maker ? makerFeeRate : takerFeeRate;
  const fee = quantity.times(match.price).times(feeRate);
  order.filledQuantity = order.filledQuantity.plus(quantity);
  const value = book(
    account,
    {
      type: "Trade",
      orderId: order.id,
      linkId: order.linkId,
      symbol: order.symbol,
      side: order.side,
      orderType: order.type,
      stopOrderType: order.stopOrderType,
      orderQuantity: order.quantity,
      leavesQuantity: order.quantity.minus(order.filledQuantity),
      orderPrice: order.price,
      price: match.price,
      quantity,
      fee,
      feeRate,
      maker: match.maker,
      change,
    },
    trading,
  );
  order.filledValue = order.filledValue.plus(value);
  order.fee = order.fee.plus(fee);
}

/** Where stops are orders of their own, and no part of the position, they stay when it is closed. */
function orphanProtection(account: Account, symbol: string, trading: Trading): void {
  const { orphanedStopsMs } = trading.settings();
  if (orphanedStopsMs === 0) return;
  for (const order of protectionOrders(account, symbol))
    order.orphanUntilMs = trading.now() + orphanedStopsMs;
}

function endOrphans(account: Account, symbol: string, nowMs: number): void {
  for (const order of ordersOf(account, symbol)) {
    if (nowMs >= (order.orphanUntilMs ?? Infinity))
      cancelOrder(account, order, { cancelType: "CancelByTpSlTsClear", nowMs });
  }
}

/** A closed or turned position takes its stop, its target and active reduce-only orders with it; conditional ones stay. */
export function dropExits(account: Account, symbol: string, nowMs: number): void {
  for (const order of ordersOf(account, symbol)) {
    if (order.orphanUntilMs !== undefined) continue;
    if (isProtection(order)) {
      cancelOrder(account, order, { cancelType: "CancelByTpSlTsClear", nowMs });
    } else if (order.reduceOnly && isActive(order)) {
      cancelOrder(account, order, { cancelType: "CancelByReduceOnly", nowMs });
    }
  }
}

/**
 * What is left of an entry that may not wait ends with the position that it began to open: Bybit's market order is over after one
 * match, so that no part of it can come after the stop and stand without one.
 */
function endEntries(
  account: Account,
  closed: { readonly symbol: string; readonly side: Side; readonly nowMs: number },
): void {
  for (const order of ordersOf(account, closed.symbol)) {
    const begun = order.status === "PartiallyFilled" && order.side === closed.side;
    if (!begun || !mayNotWait(order)) continue;
    order.rejectReason = "EC_NoImmediateQtyToFill";
    closeOrder(account, order, { status: "Cancelled", nowMs: closed.nowMs });
  }
}

function mayNotWait(order: Order): boolean {
  return order.type === "Market" || order.timeInForce === "IOC";
}

/** Stop and target always cover the whole position; one that has begun to trade covers what it has left of it. */
function fitProtection(account: Account, symbol: string): void {
  const size = positionOf(account, symbol).holding.size.abs();
  for (const order of protectionOrders(account, symbol))
    order.quantity = order.filledQuantity.plus(size);
}
