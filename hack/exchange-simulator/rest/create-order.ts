import { z } from "zod";
import { type Account, positionOf } from "../account.ts";
import { BybitError, RetCode } from "../bybit-error.ts";
import { checkListed } from "../delisting.ts";
import type { Exchange } from "../exchange.ts";
import { isMarketable } from "../matching.ts";
import { Decimal } from "../money.ts";
import type { Order, OrderRequest, Trigger } from "../order.ts";
import { refusalOf } from "../order-checks.ts";
import { sideOf } from "../position.ts";
import { closeOrder, openOrder } from "../trading.ts";
import {
  checkPositionIndex,
  DecimalParameter,
  Linear,
  OptionalDecimal,
  OptionalText,
  parse,
  replayedInstrument,
} from "./endpoint.ts";

/** Parts of Bybit's request that the simulator does not play; each is refused, never ignored. */
const Unsupported = z.union([z.literal(""), z.undefined()], "is not simulated").optional();

const LastPrice = z.enum(["", "LastPrice"], "only LastPrice is simulated").optional();
const MarketOnly = z.enum(["", "Market"], "only Market is simulated").optional();

const CreateOrder = z.object({
  category: Linear,
  symbol: z.string(),
  side: z.enum(["Buy", "Sell"]),
  orderType: z.enum(["Market", "Limit"]),
  qty: DecimalParameter,
  price: OptionalDecimal,
  timeInForce: z.enum(["GTC", "IOC", "FOK", "PostOnly"]).default("GTC"),
  orderLinkId: OptionalText,
  positionIdx: z.coerce.number().int().default(0),
  reduceOnly: z.boolean().default(false),
  closeOnTrigger: z.boolean().default(false),
  triggerPrice: OptionalDecimal,
  triggerDirection: z.coerce.number().int().optional(),
  triggerBy: LastPrice,
  takeProfit: OptionalDecimal,
  stopLoss: OptionalDecimal,
  tpTriggerBy: LastPrice,
  slTriggerBy: LastPrice,
  tpslMode: z.enum(["", "Full"], "only Full is simulated").optional(),
  tpOrderType: MarketOnly,
  slOrderType: MarketOnly,
  tpLimitPrice: Unsupported,
  slLimitPrice: Unsupported,
});

/** /v5/order/create: takes the order or throws Bybit's refusal. A market order trades at the next price. */
export function createOrder(account: Account, parameters: unknown, exchange: Exchange): Order {
  const asked = parse(CreateOrder, parameters);
  const instrument = replayedInstrument(exchange, asked.symbol);
  checkPositionIndex(account, asked.positionIdx);
  checkListed(exchange.symbolStatus(asked.symbol), asked.reduceOnly || asked.closeOnTrigger);
  const request = orderRequest(account, asked);
  const { trading } = exchange;
  const refusal = refusalOf({ request, instrument, account, valuation: trading });
  if (refusal !== undefined) {
    if (exchange.settings().refusedIdsAreTaken && request.linkId !== "")
      account.linkIds.add(request.linkId);
    throw new BybitError(refusal.retCode, refusal.message);
  }

  const marketable = isMarketable(request, trading.lastPrice(request.symbol));
  const order = openOrder(
    account,
    {
      ...request,
      quantity: reducedQuantity(account, request),
      stopOrderType: request.trigger === undefined ? "" : "Stop",
      resting: request.type === "Limit" && request.trigger === undefined && !marketable,
    },
    trading,
  );
  if (order.timeInForce === "PostOnly" && order.status === "New" && marketable) {
    order.rejectReason = "EC_PostOnlyWillTakeLiquidity";
    closeOrder(account, order, { status: "Cancelled", nowMs: trading.now() });
  }
  exchange.settle(account);
  return order;
}

function orderRequest(account: Account, asked: z.infer<typeof CreateOrder>): OrderRequest {
  return {
    symbol: asked.symbol,
    side: asked.side,
    type: asked.orderType,
    quantity: askedQuantity(account, asked),
    price: asked.orderType === "Limit" ? asked.price : undefined,
    timeInForce: asked.orderType === "Market" ? "IOC" : asked.timeInForce,
    linkId: asked.orderLinkId ?? "",
    reduceOnly: asked.reduceOnly || asked.closeOnTrigger,
    closeOnTrigger: asked.closeOnTrigger,
    trigger: askedTrigger(asked),
    protection: { takeProfit: unlessZero(asked.takeProfit), stopLoss: unlessZero(asked.stopLoss) },
  };
}

/** Bybit: quantity 0 with reduceOnly and closeOnTrigger means the whole position. */
function askedQuantity(account: Account, asked: z.infer<typeof CreateOrder>): Decimal {
  if (!asked.qty.isZero() || !asked.reduceOnly || !asked.closeOnTrigger) return asked.qty;
  return positionOf(account, asked.symbol).holding.size.abs();
}

function askedTrigger(asked: z.infer<typeof CreateOrder>): Trigger | undefined {
  const price = unlessZero(asked.triggerPrice);
  if (price === undefined) return undefined;
  if (asked.triggerDirection === 1) return { price, direction: "rising" };
  if (asked.triggerDirection === 2) return { price, direction: "falling" };
  return refuse("TriggerDirection invalid");
}

/** A reduce-only order is cut to the position that it reduces. */
function reducedQuantity(account: Account, request: OrderRequest): Decimal {
  const { holding } = positionOf(account, request.symbol);
  if (!request.reduceOnly || sideOf(holding) === "") return request.quantity;
  return Decimal.min(request.quantity, holding.size.abs());
}

function unlessZero(value: Decimal | undefined): Decimal | undefined {
  return value === undefined || value.isZero() ? undefined : value;
}

function refuse(message: string): never {
  throw new BybitError(RetCode.invalidParameter, message);
}
