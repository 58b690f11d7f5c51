import { z } from "zod";
import { type Account, isShown } from "../account.ts";
import { BybitError, RetCode } from "../bybit-error.ts";
import { openOrderNamed } from "../exchange.ts";
import { isActive, isProtection, type Order } from "../order.ts";
import { executionDelayMs } from "../settings.ts";
import { cancelOrder } from "../trading.ts";
import { amendOrder } from "./amend-order.ts";
import { createOrder } from "./create-order.ts";
import {
  type Endpoints,
  Linear,
  OptionalMilliseconds,
  OptionalText,
  pageLimit,
  pageOf,
  parse,
} from "./endpoint.ts";
import { isRemembered, pastRange } from "./history.ts";
import { executionView, orderView } from "./order-view.ts";

/** Closed orders that /v5/order/realtime still knows (Bybit: "the most recent 500"). */
const REALTIME_CLOSED_ORDERS = 500;

const CancelOrder = z.object({
  category: Linear,
  symbol: z.string(),
  orderId: OptionalText,
  orderLinkId: OptionalText,
});

const OrderFilter = z.enum(["Order", "StopOrder"]).optional();

const CancelAll = z.object({
  category: Linear,
  symbol: OptionalText,
  baseCoin: OptionalText,
  settleCoin: OptionalText,
  orderFilter: OrderFilter,
  stopOrderType: OptionalText,
});

const OrdersQuery = z.object({
  category: Linear,
  symbol: OptionalText,
  baseCoin: OptionalText,
  settleCoin: OptionalText,
  orderId: OptionalText,
  orderLinkId: OptionalText,
  openOnly: z.coerce.number().int().min(0).max(2).default(0),
  orderFilter: OrderFilter,
  orderStatus: OptionalText,
  limit: pageLimit(50, 20),
  cursor: OptionalText,
});
type OrdersQuery = z.infer<typeof OrdersQuery>;

const HistoryQuery = OrdersQuery.extend({
  startTime: OptionalMilliseconds,
  endTime: OptionalMilliseconds,
});

const ExecutionsQuery = z.object({
  category: Linear,
  symbol: OptionalText,
  orderId: OptionalText,
  orderLinkId: OptionalText,
  execType: OptionalText,
  startTime: OptionalMilliseconds,
  endTime: OptionalMilliseconds,
  limit: pageLimit(100, 50),
  cursor: OptionalText,
});

export const orderEndpoints: Endpoints = {
  "POST /v5/order/create": {
    access: "trade",
    answer: ({ key, parameters, exchange }) =>
      reference(createOrder(key.account, parameters, exchange)),
  },
  "POST /v5/order/amend": {
    access: "trade",
    answer: ({ key, parameters, exchange }) =>
      reference(amendOrder(key.account, parameters, exchange)),
  },
  "POST /v5/order/cancel": {
    access: "trade",
    answer: ({ key, parameters, exchange }) => {
      const asked = parse(CancelOrder, parameters);
      const order = openOrderNamed(key.account, { ...asked, action: "cancel" }, exchange);
      cancelOrder(key.account, order, {
        cancelType: "CancelByUser",
        nowMs: exchange.trading.now(),
      });
      return reference(order);
    },
  },
  "POST /v5/order/cancel-all": {
    access: "trade",
    answer: ({ key, parameters, exchange }) => {
      const orders = cancellable(key.account, parse(CancelAll, parameters));
      for (const order of orders) {
        cancelOrder(key.account, order, {
          cancelType: "CancelByUser",
          nowMs: exchange.trading.now(),
        });
      }
      return { list: orders.map(reference), success: "1" };
    },
  },
  "GET /v5/order/realtime": {
    access: "private",
    answer: ({ key, parameters, exchange }) => {
      const query = parse(OrdersQuery, parameters);
      requireScope(query, ["symbol", "baseCoin", "settleCoin", "orderId", "orderLinkId"]);
      const orders = realtimeOrders(key.account, query, exchange.restartedMs);
      return orderPage(shown(key.account, orders, exchange.clock.now()), query);
    },
  },
  "GET /v5/order/history": {
    access: "private",
    answer: ({ key, parameters, exchange }) => {
      const query = parse(HistoryQuery, parameters);
      const nowMs = exchange.clock.now();
      const { fromMs, untilMs } = pastRange(query, nowMs);
      const orders = key.account.closedOrders.filter(
        (order) =>
          isSelected(order, query) &&
          order.createdMs >= fromMs &&
          order.createdMs <= untilMs &&
          isRemembered(order, nowMs),
      );
      return orderPage(shown(key.account, orders, nowMs), query);
    },
  },
  "GET /v5/execution/list": {
    access: "private",
    answer: ({ key, parameters, exchange }) => {
      const query = parse(ExecutionsQuery, parameters);
      const nowMs = exchange.clock.now();
      const { fromMs, untilMs } = pastRange(query, nowMs);
      const executions = key.account.executions.filter(
        (execution) =>
          (query.execType === undefined || query.execType === execution.type) &&
          isNamed(
            { id: execution.orderId, linkId: execution.linkId, symbol: execution.symbol },
            query,
          ) &&
          execution.timeMs >= fromMs &&
          execution.timeMs <= untilMs &&
          isShown(key.account, execution.orderId, nowMs) &&
          nowMs >= execution.timeMs + executionDelayMs(exchange.settings(), execution),
      );
      const { entries, nextPageCursor } = pageOf(executions, query);
      return { category: "linear", list: entries.map(executionView), nextPageCursor };
    },
  },
};

function reference(order: Order): object {
  return { orderId: order.id, orderLinkId: order.linkId };
}

function requireScope<Query extends object>(
  query: Query,
  names: readonly (keyof Query & string)[],
): void {
  if (names.some((name) => query[name] !== undefined)) return;
  throw new BybitError(
    RetCode.invalidParameter,
    "params error: Missing some parameters that must be filled in, symbol or settleCoin or baseCoin",
  );
}

/**
 * Open orders; with openOnly=1 the recently closed ones instead. An order that is asked for by id is found in either state,
 * as unified accounts see it. What was closed before Bybit last restarted is not known here any more
 * (https://bybit-exchange.github.io/docs/v5/order/open-order).
 */
function realtimeOrders(
  account: Account,
  query: OrdersQuery,
  restartedMs: number,
): readonly Order[] {
  const byId = query.orderId !== undefined || query.orderLinkId !== undefined;
  const open = query.openOnly === 0 || byId ? [...account.openOrders.values()] : [];
  const closed =
    query.openOnly > 0 || byId ? account.closedOrders.slice(-REALTIME_CLOSED_ORDERS) : [];
  const known = closed.filter((order) => order.updatedMs >= restartedMs);
  return [...open, ...known].filter((order) => isSelected(order, query));
}

function shown(account: Account, orders: readonly Order[], nowMs: number): readonly Order[] {
  return orders.filter(({ id }) => isShown(account, id, nowMs));
}

function orderPage(orders: readonly Order[], query: OrdersQuery): object {
  const { entries, nextPageCursor } = pageOf(orders, query);
  return { category: "linear", list: entries.map(orderView), nextPageCursor };
}

function isSelected(order: Order, query: OrdersQuery): boolean {
  const { orderFilter, orderStatus } = query;
  return (
    isNamed(order, query) &&
    (orderFilter === undefined || orderFilter === filterOf(order)) &&
    (orderStatus === undefined || orderStatus === order.status)
  );
}

interface Names {
  readonly symbol?: string | undefined;
  readonly orderId?: string | undefined;
  readonly orderLinkId?: string | undefined;
}

/** Bybit goes by orderId before orderLinkId when both are given. */
function isNamed(order: Pick<Order, "id" | "linkId" | "symbol">, names: Names): boolean {
  if (names.symbol !== undefined && names.symbol !== order.symbol) return false;
  if (names.orderId !== undefined) return names.orderId === order.id;
  return names.orderLinkId === undefined || names.orderLinkId === order.linkId;
}

function filterOf(order: Order): "Order" | "StopOrder" {
  return order.trigger === undefined ? "Order" : "StopOrder";
}

/** Without a filter cancel-all takes stops and targets with it, as Bybit's does. */
function cancellable(account: Account, asked: z.infer<typeof CancelAll>): readonly Order[] {
  requireScope(asked, ["symbol", "baseCoin", "settleCoin"]);
  return [...account.openOrders.values()].filter((order) => {
    const over = order.type === "Market" && isActive(order);
    const filtered = asked.orderFilter === undefined || asked.orderFilter === filterOf(order);
    const conditionalOnly = asked.stopOrderType === "Stop" && isProtection(order);
    return !over && filtered && !conditionalOnly && isNamed(order, { symbol: asked.symbol });
  });
}
