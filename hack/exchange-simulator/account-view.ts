import { type Account, balancesOf, type Position } from "./account.ts";
import type { Exchange } from "./exchange.ts";
import { type Decimal, text } from "./money.ts";
import type { Execution, Order } from "./order.ts";
import { averagePrice, sideOf, unrealisedPnl } from "./position.ts";
import { protectionOrders } from "./trading.ts";

/**
 * Everything about an account, in the simulator's own words: what tests compare journals with. Amounts are exact decimal
 * strings, absent ones null; orders and executions are oldest first.
 */
export function accountView(account: Account, exchange: Exchange) {
  const balances = balancesOf(account, exchange.trading);
  const orders = [...account.closedOrders, ...account.openOrders.values()];
  const held = [...account.positions.values()].filter(({ holding }) => !holding.size.isZero());
  return {
    userId: account.userId,
    orders: orders.toSorted((a, b) => a.sequence - b.sequence).map(orderState),
    executions: account.executions.map(executionState),
    positions: held.map((position) => positionState(account, position, exchange)),
    wallet: {
      initialBalance: text(account.initialBalance),
      balance: text(balances.wallet),
      unrealisedPnl: text(balances.unrealisedPnl),
      equity: text(balances.equity),
      available: text(balances.available),
    },
  };
}

function orderState(order: Order) {
  return {
    orderId: order.id,
    orderLinkId: order.linkId,
    symbol: order.symbol,
    side: order.side,
    type: order.type,
    stopOrderType: order.stopOrderType,
    status: order.status,
    cancelType: order.cancelType,
    quantity: text(order.quantity),
    price: textOrNull(order.price),
    triggerPrice: textOrNull(order.trigger?.price),
    takeProfit: textOrNull(order.protection.takeProfit),
    stopLoss: textOrNull(order.protection.stopLoss),
    reduceOnly: order.reduceOnly,
    filledQuantity: text(order.filledQuantity),
    filledValue: text(order.filledValue),
    fee: text(order.fee),
    createdMs: order.createdMs,
    updatedMs: order.updatedMs,
  };
}

function executionState(execution: Execution) {
  return {
    executionId: execution.id,
    type: execution.type,
    orderId: execution.orderId,
    orderLinkId: execution.linkId,
    symbol: execution.symbol,
    side: execution.side,
    stopOrderType: execution.stopOrderType,
    price: text(execution.price),
    quantity: text(execution.quantity),
    value: text(execution.value),
    fee: text(execution.fee),
    maker: execution.maker,
    closedQuantity: text(execution.closedQuantity),
    /** Before fees. */
    realisedPnl: text(execution.realisedPnl),
    timeMs: execution.timeMs,
    replayTime: execution.replayTime,
  };
}

function positionState(account: Account, position: Position, exchange: Exchange) {
  const { symbol, holding } = position;
  const levels = new Map(
    protectionOrders(account, symbol).map((order) => [order.stopOrderType, order.trigger?.price]),
  );
  return {
    symbol,
    side: sideOf(holding),
    size: text(holding.size.abs()),
    entryPrice: textOrNull(averagePrice(holding)),
    entryValue: text(holding.entryValue),
    leverage: text(position.leverage),
    unrealisedPnl: text(unrealisedPnl(holding, exchange.market.lastPrice(symbol))),
    stopLoss: textOrNull(levels.get("StopLoss")),
    takeProfit: textOrNull(levels.get("TakeProfit")),
  };
}

function textOrNull(value: Decimal | undefined): string | null {
  return value === undefined ? null : text(value);
}
