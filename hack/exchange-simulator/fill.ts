import { type Account, balancesOf, ordersOf, positionOf, remember } from "./account.ts";
import { MAKER_FEE_RATE, TAKER_FEE_RATE } from "./instruments.ts";
import { orderMargin } from "./margin.ts";
import { type Match, nextMatch, type Tick } from "./matching.ts";
import { Decimal } from "./money.ts";
import { isProtection, type Order } from "./order.ts";
import { applyTrade, type HoldingChange, sideOf } from "./position.ts";
import { cancelOrder, closeOrder, protectPosition, type Trading } from "./trading.ts";

export interface MarketEvent {
  readonly symbol: string;
  readonly tick: Tick;
}

/** Lets one tick act on all of the account's open orders in `symbol`, the most urgent first, until it moves none. */
export function processTick(account: Account, event: MarketEvent, trading: Trading): void {
  if (account.openOrders.size === 0) return;
  const bornBefore = trading.nextSequence();
  // Ends: every match closes an order, makes it rest or activates it, each once; a fill adds at most a stop and a target.
  for (;;) {
    const next = nextMatch(ordersOf(account, event.symbol), event.tick, bornBefore);
    if (next === undefined) return;
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
  const quantity = fillableQuantity(account, order);
  if (quantity.isZero()) {
    cancelOrder(account, order, { cancelType: "CancelByReduceOnly", nowMs });
    return;
  }
  if (order.status === "Untriggered" && !canAfford(account, order, trading)) {
    order.rejectReason = "EC_Others";
    closeOrder(account, order, { status: "Rejected", nowMs });
    return;
  }
  const position = positionOf(account, order.symbol);
  const before = sideOf(position.holding);
  const change = applyTrade(position.holding, { side: order.side, quantity, price: match.price });
  bookExecution(account, { order, match, quantity, change }, trading);
  const whole = quantity.eq(order.quantity);
  closeOrder(account, order, {
    status: whole ? "Filled" : "Cancelled",
    nowMs,
    ...(whole ? {} : { cancelType: "CancelByReduceOnly" }),
  });
  const after = sideOf(position.holding);
  if (before !== "" && after !== before) dropExits(account, order.symbol, nowMs);
  if (before !== after) position.createdMs = nowMs;
  if (after === order.side) {
    protectPosition(account, { symbol: order.symbol, ...order.protection }, trading);
  }
  fitProtection(account, order.symbol);
}

/** A reduce-only order is filled up to the position that it reduces, others whole. */
function fillableQuantity(account: Account, order: Order): Decimal {
  if (!order.reduceOnly) return order.quantity;
  const { holding } = positionOf(account, order.symbol);
  const side = sideOf(holding);
  if (side === "" || side === order.side) return new Decimal(0);
  return Decimal.min(order.quantity, holding.size.abs());
}

function canAfford(account: Account, order: Order, trading: Trading): boolean {
  if (order.reduceOnly) return true;
  const { leverage } = positionOf(account, order.symbol);
  const value = order.quantity.times(trading.lastPrice(order.symbol));
  const { available } = balancesOf(account, trading.lastPrice);
  return orderMargin(order.side, value, leverage).lte(available);
}

interface Booking extends Fill {
  readonly quantity: Decimal;
  readonly change: HoldingChange;
}

/** Writes wallet, position, order and execution list from one trade: the only place where money moves. */
function bookExecution(account: Account, booking: Booking, trading: Trading): void {
  const { order, match, quantity, change } = booking;
  const nowMs = trading.now();
  const value = quantity.times(match.price);
  const feeRate = match.maker ? MAKER_FEE_RATE : TAKER_FEE_RATE;
  const fee = value.times(feeRate);
  const result = change.realisedPnl.minus(fee);

  account.wallet = account.wallet.plus(result);
  const position = positionOf(account, order.symbol);
  const opensAnew = position.holding.size.isZero();
  position.holding = change.holding;
  position.currentRealised = opensAnew ? result : position.currentRealised.plus(result);
  position.cumulativeRealised = position.cumulativeRealised.plus(result);
  position.updatedMs = nowMs;
  order.filledQuantity = quantity;
  order.filledValue = value;
  order.fee = fee;
  remember(account.executions, {
    id: trading.newId(),
    sequence: trading.nextSequence(),
    orderId: order.id,
    linkId: order.linkId,
    symbol: order.symbol,
    side: order.side,
    orderType: order.type,
    stopOrderType: order.stopOrderType,
    orderQuantity: order.quantity,
    orderPrice: order.price,
    price: match.price,
    quantity,
    value,
    fee,
    feeRate,
    maker: match.maker,
    closedQuantity: change.closedQuantity,
    realisedPnl: change.realisedPnl,
    timeMs: nowMs,
    replayTime: trading.replayTime(),
  });
}

/** A closed or turned position takes its stop, its target and active reduce-only orders with it; conditional ones stay. */
function dropExits(account: Account, symbol: string, nowMs: number): void {
  for (const order of ordersOf(account, symbol)) {
    if (isProtection(order)) {
      cancelOrder(account, order, { cancelType: "CancelByTpSlTsClear", nowMs });
    } else if (order.reduceOnly && order.status === "New") {
      cancelOrder(account, order, { cancelType: "CancelByReduceOnly", nowMs });
    }
  }
}

/** Stop and target always cover the whole position. */
function fitProtection(account: Account, symbol: string): void {
  const size = positionOf(account, symbol).holding.size.abs();
  for (const order of ordersOf(account, symbol)) {
    if (isProtection(order)) order.quantity = size;
  }
}
