import { type Account, positionOf, remember } from "./account.ts";
import { type Decimal, ZERO } from "./money.ts";
import {
  type CancelType,
  isProtection,
  NO_PROTECTION,
  opposite,
  type Order,
  type OrderRequest,
  type OrderStatus,
  type Protection,
  type StopOrderType,
} from "./order.ts";
import { sideOf } from "./position.ts";
import type { Settings } from "./settings.ts";

/** What the trading functions need of the world around an account. */
export interface Trading {
  readonly lastPrice: (symbol: string) => Decimal;
  /** Server clock and replay clock, ms. */
  readonly now: () => number;
  readonly replayTime: () => number;
  readonly newId: () => string;
  /** A number above all given out before. */
  readonly nextSequence: () => number;
  readonly settings: () => Settings;
}

/** What accounts are valued and margins reckoned by. */
export type Valuation = Pick<Trading, "lastPrice" | "settings">;

/** Puts a new order into the account's open orders. What it may not do has been checked before (order-checks.ts). */
export function openOrder(
  account: Account,
  request: OrderRequest & { readonly stopOrderType: StopOrderType; readonly resting: boolean },
  trading: Trading,
): Order {
  const { type, quantity, ...rest } = request;
  const nowMs = trading.now();
  const order: Order = {
    ...rest,
    type,
    quantity,
    id: trading.newId(),
    sequence: trading.nextSequence(),
    status: request.trigger === undefined ? "New" : "Untriggered",
    lastPriceOnCreated: trading.lastPrice(request.symbol),
    createdMs: nowMs,
    updatedMs: nowMs,
    cancelType: "UNKNOWN",
    rejectReason: "EC_NoError",
    filledQuantity: ZERO,
    filledValue: ZERO,
    fee: ZERO,
  };
  account.openOrders.set(order.id, order);
  if (order.linkId !== "") account.linkIds.add(order.linkId);
  account.publish({ kind: "order", order });
  return order;
}

/** Ends an order for good. */
export function closeOrder(
  account: Account,
  order: Order,
  end: { readonly status: OrderStatus; readonly nowMs: number; readonly cancelType?: CancelType },
): void {
  order.status = end.status;
  order.cancelType = end.cancelType ?? order.cancelType;
  order.updatedMs = end.nowMs;
  account.openOrders.delete(order.id);
  remember(account.closedOrders, order);
  account.publish({ kind: "order", order });
}

/** Cancels an open order: Deactivated while untriggered, else Cancelled. */
export function cancelOrder(
  account: Account,
  order: Order,
  why: { readonly cancelType: CancelType; readonly nowMs: number },
): void {
  const status = order.status === "Untriggered" ? "Deactivated" : "Cancelled";
  closeOrder(account, order, { status, ...why });
}

/** The protecting orders of the position in `symbol`: at most one stop and one target, none that another one has left behind. */
export function protectionOrders(account: Account, symbol: string): Order[] {
  return [...account.openOrders.values()].filter(
    (order) => order.symbol === symbol && isProtection(order) && order.orphanUntilMs === undefined,
  );
}

/**
 * Sets stop and target of an open position: undefined leaves one as it is, zero removes it, a price moves it or makes it.
 */
export function protectPosition(
  account: Account,
  change: Protection & { readonly symbol: string },
  trading: Trading,
): void {
  const levels = [
    ["StopLoss", change.stopLoss],
    ["TakeProfit", change.takeProfit],
  ] as const;
  for (const [stopOrderType, price] of levels) {
    if (price !== undefined) {
      setLevel(account, { symbol: change.symbol, stopOrderType, price }, trading);
    }
  }
  account.publish({ kind: "position", symbol: change.symbol });
}

interface Level {
  readonly symbol: string;
  readonly stopOrderType: "StopLoss" | "TakeProfit";
  readonly price: Decimal;
}

function setLevel(account: Account, level: Level, trading: Trading): void {
  const { symbol, stopOrderType, price } = level;
  const { holding } = positionOf(account, symbol);
  const held = sideOf(holding);
  if (held === "") return;
  const existing = protectionOrders(account, symbol).find(
    (order) => order.stopOrderType === stopOrderType,
  );
  const nowMs = trading.now();
  if (price.isZero()) {
    if (existing !== undefined)
      cancelOrder(account, existing, { cancelType: "CancelByUser", nowMs });
    return;
  }
  const risingIsProfit = held === "Buy";
  const rising = (stopOrderType === "TakeProfit") === risingIsProfit;
  const trigger = { price, direction: rising ? "rising" : "falling" } as const;
  if (existing !== undefined) {
    existing.trigger = trigger;
    existing.updatedMs = nowMs;
    account.publish({ kind: "order", order: existing });
    return;
  }
  openOrder(
    account,
    {
      symbol,
      side: opposite(held),
      type: "Market",
      quantity: holding.size.abs(),
      price: undefined,
      timeInForce: "IOC",
      linkId: "",
      reduceOnly: true,
      closeOnTrigger: true,
      trigger,
      protection: NO_PROTECTION,
      stopOrderType,
      resting: false,
    },
    trading,
  );
}
