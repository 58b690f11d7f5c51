import { type Decimal, ZERO } from "./money.ts";

export type Side = "Buy" | "Sell";
type OrderType = "Market" | "Limit";
type TimeInForce = "GTC" | "IOC" | "FOK" | "PostOnly";

/**
 * Bybit's states of derivatives' orders (https://bybit-exchange.github.io/docs/v5/enum#orderstatus). PartiallyFilledCanceled is
 * for spot only: "In derivatives, orders with this status [Cancelled] may have an executed qty".
 */
export type OrderStatus =
  | "New"
  | "PartiallyFilled"
  | "Untriggered"
  | "Filled"
  | "Cancelled"
  /** A conditional order that was cancelled before it triggered. */
  | "Deactivated"
  | "Rejected";

/** Bybit's stopOrderType: "" for plain orders, Stop for a conditional one, the others for a position's protection. */
export type StopOrderType = "" | "Stop" | "StopLoss" | "TakeProfit";

/** https://bybit-exchange.github.io/docs/v5/enum#canceltype */
export type CancelType =
  | "UNKNOWN"
  | "CancelByUser"
  | "CancelByReduceOnly"
  | "CancelByTpSlTsClear"
  /** The account is about to be liquidated. */
  | "CancelAllBeforeLiq"
  /** The contract is delisted. */
  | "CancelBySettle";

/** https://bybit-exchange.github.io/docs/v5/enum#exectype */
export type ExecutionType = "Trade" | "Funding" | "BustTrade" | "Delivery";

export interface Trigger {
  readonly price: Decimal;
  readonly direction: "rising" | "falling";
}

/** Stop and target that an order hands to its position, or that a position has. */
export interface Protection {
  readonly takeProfit: Decimal | undefined;
  readonly stopLoss: Decimal | undefined;
}

/** What was asked for, parsed. Prices in USDT, quantity in the base coin. */
export interface OrderRequest {
  readonly symbol: string;
  readonly side: Side;
  readonly type: OrderType;
  readonly quantity: Decimal;
  readonly price: Decimal | undefined;
  readonly timeInForce: TimeInForce;
  readonly linkId: string;
  readonly reduceOnly: boolean;
  readonly closeOnTrigger: boolean;
  readonly trigger: Trigger | undefined;
  readonly protection: Protection;
}

export interface Order {
  readonly id: string;
  /** Grows with every order of the exchange; pages and ages go by it. */
  readonly sequence: number;
  readonly linkId: string;
  readonly symbol: string;
  readonly side: Side;
  readonly type: OrderType;
  readonly timeInForce: TimeInForce;
  readonly reduceOnly: boolean;
  readonly closeOnTrigger: boolean;
  readonly stopOrderType: StopOrderType;
  readonly lastPriceOnCreated: Decimal;
  readonly createdMs: number;
  quantity: Decimal;
  price: Decimal | undefined;
  trigger: Trigger | undefined;
  protection: Protection;
  status: OrderStatus;
  /** A limit order in the book; false while a marketable one waits for the next price. */
  resting: boolean;
  cancelType: CancelType;
  rejectReason: string;
  filledQuantity: Decimal;
  filledValue: Decimal;
  fee: Decimal;
  updatedMs: number;
  /** A stop or target that outlives its position (settings.ts): until then, server time, ms. */
  orphanUntilMs?: number;
}

export interface Execution {
  readonly id: string;
  readonly type: ExecutionType;
  readonly sequence: number;
  readonly orderId: string;
  readonly linkId: string;
  readonly symbol: string;
  readonly side: Side;
  readonly orderType: OrderType | "UNKNOWN";
  readonly stopOrderType: StopOrderType;
  readonly orderQuantity: Decimal;
  /** What the order had still to fill after this. */
  readonly leavesQuantity: Decimal;
  readonly orderPrice: Decimal | undefined;
  readonly price: Decimal;
  readonly quantity: Decimal;
  readonly value: Decimal;
  /** USDT, above zero when paid: the trading fee, or the funding. */
  readonly fee: Decimal;
  readonly feeRate: Decimal;
  readonly maker: boolean;
  readonly closedQuantity: Decimal;
  /** Profit of the part that closed, before fees. */
  readonly realisedPnl: Decimal;
  readonly timeMs: number;
  /** Replay time at which it happened, ms. */
  readonly replayTime: number;
}

export const NO_PROTECTION: Protection = { takeProfit: undefined, stopLoss: undefined };

/** In the market, not waiting for its trigger. */
export function isActive(order: Pick<Order, "status">): boolean {
  return order.status === "New" || order.status === "PartiallyFilled";
}

function isOpen(order: Pick<Order, "status">): boolean {
  return isActive(order) || order.status === "Untriggered";
}

export function isProtection(order: Pick<Order, "stopOrderType">): boolean {
  return order.stopOrderType === "StopLoss" || order.stopOrderType === "TakeProfit";
}

export function opposite(side: Side): Side {
  return side === "Buy" ? "Sell" : "Buy";
}

/** What is still to be filled; nothing once the order is over. */
export function leavesQuantity(order: Order): Decimal {
  return isOpen(order) ? order.quantity.minus(order.filledQuantity) : ZERO;
}
