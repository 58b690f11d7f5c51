import { type Account, balancesOf, MAX_ORDER_LINK_IDS, ordersOf, positionOf } from "./account.ts";
import { type RetCode, RetCode as Code } from "./bybit-error.ts";
import { type Instrument, MINIMUM_ORDER_VALUE } from "./instruments.ts";
import { orderMargin } from "./margin.ts";
import { Decimal, isMultipleOf, text } from "./money.ts";
import { isProtection, type OrderRequest, type Protection, type Side } from "./order.ts";
import { sideOf } from "./position.ts";
import type { Valuation } from "./trading.ts";

/** Open orders of one symbol: active ones, and conditional ones without stops and targets of positions (Bybit's limits). */
const MAX_ACTIVE_ORDERS = 500;
const MAX_CONDITIONAL_ORDERS = 10;
const MAX_LINK_ID_LENGTH = 36;
/** Bybit's messages show quantities times 10^8. */
const MESSAGE_SCALE = 100_000_000;

export interface Refusal {
  readonly retCode: RetCode;
  readonly message: string;
}

export interface OrderContext {
  readonly request: OrderRequest;
  readonly instrument: Instrument;
  readonly account: Account;
  readonly valuation: Valuation;
}

type Check = (context: OrderContext) => Refusal | undefined;

function invalid(message: string): Refusal {
  return { retCode: Code.invalidParameter, message };
}

const quantityOnStep: Check = ({ request: { quantity }, instrument }) =>
  quantity.gt(0) && isMultipleOf(quantity, instrument.quantityStep)
    ? undefined
    : invalid("Qty invalid");

const quantityInBounds: Check = ({ request, instrument }) => {
  const { quantity, type } = request;
  // What closes a whole position may be as small as that.
  if (quantity.lt(instrument.minimumQuantity) && !request.closeOnTrigger) {
    return invalid("The number of contracts exceeds minimum limit allowed");
  }
  const most = type === "Market" ? instrument.maximumMarketQuantity : instrument.maximumQuantity;
  if (quantity.lte(most)) return undefined;
  const [asked, allowed] = [quantity, most].map((value) => text(value.times(MESSAGE_SCALE)));
  return invalid(
    `The number of contracts exceeds maximum limit allowed: too large, order_qty:${asked} > max_qty:${allowed}`,
  );
};

const closesEnough: Check = ({ request, instrument, valuation }) => {
  const isEnough = request.quantity.gte(instrument.minimumQuantity);
  if (isEnough || valuation.settings().closesBelowMinimum) return undefined;
  const message = "orderQty will be truncated to zero";
  return { retCode: Code.reduceOnlyNotSatisfied, message };
};

const priceOnTick: Check = ({ request: { type, price }, instrument }) => {
  if (type === "Market") return undefined;
  return price !== undefined && isPrice(price, instrument) ? undefined : invalid("Price invalid");
};

const triggerBeyondLastPrice: Check = ({ request: { trigger, symbol }, instrument, valuation }) => {
  if (trigger === undefined) return undefined;
  if (!isPrice(trigger.price, instrument)) return invalid("TriggerPrice invalid");
  const last = valuation.lastPrice(symbol);
  const [asked, current] = [text(trigger.price), text(last)];
  if (trigger.direction === "rising" && trigger.price.lte(last)) {
    const message = `expect Rising, but trigger_price[${asked}] <= current[${current}]??LastPrice`;
    return { retCode: Code.triggerMustRise, message };
  }
  if (trigger.direction === "falling" && trigger.price.gte(last)) {
    const message = `expect Falling, but trigger_price[${asked}] >= current[${current}]??LastPrice`;
    return { retCode: Code.triggerMustFall, message };
  }
  return undefined;
};

const protectionOnRightSide: Check = ({ request, instrument, valuation }) => {
  const { protection, side, reduceOnly } = request;
  if (protection.takeProfit === undefined && protection.stopLoss === undefined) return undefined;
  if (reduceOnly) return invalid("TP/SL cannot be set on a reduce-only order");
  const base = request.trigger?.price ?? request.price ?? valuation.lastPrice(request.symbol);
  return protectionRefusal({ protection, side, base }, instrument);
};

const linkIdUnused: Check = ({ request: { linkId }, account, valuation }) => {
  if (linkId === "") return undefined;
  if (linkId.length > MAX_LINK_ID_LENGTH || !/^[\w-]+$/.test(linkId)) {
    return invalid("OrderLinkId invalid: at most 36 letters, digits, - and _");
  }
  if (isUsed(linkId, account, valuation)) {
    return { retCode: Code.duplicateOrderLinkId, message: "OrderLinkedID is duplicate" };
  }
  return account.linkIds.size < MAX_ORDER_LINK_IDS
    ? undefined
    : invalid(`the simulator remembers at most ${MAX_ORDER_LINK_IDS} orderLinkIds per account`);
};

function isUsed(linkId: string, account: Account, { settings }: Valuation): boolean {
  if (settings().idsAreUniqueAmong === "all") return account.linkIds.has(linkId);
  return account.openOrders.values().some((order) => order.linkId === linkId);
}

const reduceOnlyReduces: Check = ({ request, account }) => {
  if (!request.reduceOnly) return undefined;
  const held = sideOf(positionOf(account, request.symbol).holding);
  // A conditional exit may be placed ahead of its position.
  if (request.trigger !== undefined && held === "") return undefined;
  if (held === "") {
    const message = "current position is zero, cannot fix reduce-only order qty";
    return { retCode: Code.reduceOnlyNotSatisfied, message };
  }
  if (held !== request.side) return undefined;
  const message = "Reduce-only rule not satisfied: it has the same side as the position";
  return { retCode: Code.reduceOnlyNotSatisfied, message };
};

const valueAboveMinimum: Check = ({ request, valuation }) => {
  if (request.reduceOnly) return undefined;
  const price = request.price ?? request.trigger?.price ?? valuation.lastPrice(request.symbol);
  if (request.quantity.times(price).gte(MINIMUM_ORDER_VALUE)) return undefined;
  const message = `Order does not meet minimum order value ${text(MINIMUM_ORDER_VALUE)}USDT`;
  return { retCode: Code.belowMinimumValue, message };
};

const roomForOrder: Check = ({ request, account }) => {
  const orders = ordersOf(account, request.symbol);
  const conditional = orders.filter((order) => order.trigger !== undefined && !isProtection(order));
  if (request.trigger !== undefined) {
    if (conditional.length < MAX_CONDITIONAL_ORDERS) return undefined;
    const message = "The number of stop orders exceeds maximum limit allowed";
    return { retCode: Code.tooManyConditionalOrders, message };
  }
  if (orders.length - conditional.length < MAX_ACTIVE_ORDERS) return undefined;
  return { retCode: Code.tooManyActiveOrders, message: "The number of active orders exceeds 500" };
};

const affordable: Check = ({ request, account, valuation }) => {
  if (request.reduceOnly || request.trigger !== undefined) return undefined;
  const { holding, leverage } = positionOf(account, request.symbol);
  const held = sideOf(holding);
  const closes = held !== "" && held !== request.side ? holding.size.abs() : new Decimal(0);
  const opens = Decimal.max(request.quantity.minus(closes), 0);
  const value = opens.times(request.price ?? valuation.lastPrice(request.symbol));
  const { takerFeeRate } = valuation.settings();
  const { available } = balancesOf(account, valuation);
  return value.isZero() ||
    orderMargin(request.side, value, { leverage, takerFeeRate }).lte(available)
    ? undefined
    : { retCode: Code.insufficientBalance, message: "ab not enough for new order" };
};

/** Asked in this order; the first refusal is the answer. */
const orderChecks: readonly Check[] = [
  quantityOnStep,
  quantityInBounds,
  closesEnough,
  priceOnTick,
  linkIdUnused,
  triggerBeyondLastPrice,
  protectionOnRightSide,
  reduceOnlyReduces,
  valueAboveMinimum,
  roomForOrder,
  affordable,
];

export function refusalOf(context: OrderContext): Refusal | undefined {
  for (const check of orderChecks) {
    const refusal = check(context);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

function isPrice(price: Decimal, instrument: Instrument): boolean {
  return (
    price.gt(0) && price.lte(instrument.maximumPrice) && isMultipleOf(price, instrument.tickSize)
  );
}

interface ProtectionContext {
  readonly protection: Protection;
  /** Side of the position. */
  readonly side: Side;
  /** Price that stop and target must lie around. */
  readonly base: Decimal;
}

/** A stop lies on the losing side of `base` and a target on the winning one; zero means "none". */
export function protectionRefusal(
  { protection, side, base }: ProtectionContext,
  instrument: Instrument,
): Refusal | undefined {
  const levels = [
    ["TakeProfit", protection.takeProfit, side === "Buy"],
    ["StopLoss", protection.stopLoss, side === "Sell"],
  ] as const;
  for (const [name, price, above] of levels) {
    if (price === undefined || price.isZero()) continue;
    if (!isPrice(price, instrument)) return invalid(`${name} price invalid`);
    if (above ? price.gt(base) : price.lt(base)) continue;
    const [asked, shown] = [price, base].map((value) => text(value.times(MESSAGE_SCALE)));
    const bound = above ? "higher" : "lower";
    return invalid(
      `${name}:${asked} set for ${side} position should be ${bound} than base_price:${shown}??LastPrice`,
    );
  }
  return undefined;
}
