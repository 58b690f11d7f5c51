import { z } from "zod";
import type { Account } from "../account.ts";
import { BybitError, RetCode } from "../bybit-error.ts";
import { type Exchange, openOrderNamed } from "../exchange.ts";
import { isMarketable } from "../matching.ts";
import type { Decimal } from "../money.ts";
import {
  isActive,
  isProtection,
  type Order,
  type OrderRequest,
  type Protection,
} from "../order.ts";
import { refusalOf } from "../order-checks.ts";
import { Linear, OptionalDecimal, OptionalText, parse, replayedInstrument } from "./endpoint.ts";

const AmendOrder = z.object({
  category: Linear,
  symbol: z.string(),
  orderId: OptionalText,
  orderLinkId: OptionalText,
  qty: OptionalDecimal,
  price: OptionalDecimal,
  triggerPrice: OptionalDecimal,
  takeProfit: OptionalDecimal,
  stopLoss: OptionalDecimal,
});

/** /v5/order/amend: changes an open limit or conditional order, or the trigger of a position's stop or target. */
export function amendOrder(account: Account, parameters: unknown, exchange: Exchange): Order {
  const asked = parse(AmendOrder, parameters);
  const instrument = replayedInstrument(exchange, asked.symbol);
  const order = openOrderNamed(account, { ...asked, action: "replace" }, exchange);
  checkProtectionUnfilled(order, asked);
  const changed = amended(order, asked);
  if (changed.quantity.lte(order.filledQuantity)) {
    const message =
      "The modified contract quantity cannot be less than or equal to the filled quantity";
    throw new BybitError(RetCode.quantityBelowFilled, message);
  }
  if (sameTerms(order, changed)) {
    throw new BybitError(
      RetCode.invalidParameter,
      "The order remains unchanged as the parameters entered match the existing ones.",
    );
  }
  // The order gives back its margin, its place and its id while its new terms are checked.
  const others = new Map(account.openOrders);
  others.delete(order.id);
  const linkIds = new Set<string>();
  const { lastPrice } = exchange.trading;
  const refusal = refusalOf({
    request: { ...changed, linkId: "" },
    instrument,
    account: { ...account, openOrders: others, linkIds },
    valuation: exchange.trading,
  });
  if (refusal !== undefined) throw new BybitError(refusal.retCode, refusal.message);

  Object.assign(order, {
    quantity: changed.quantity,
    price: changed.price,
    trigger: changed.trigger,
    protection: changed.protection,
    updatedMs: exchange.trading.now(),
  });
  if (isActive(order)) {
    order.resting = !isMarketable(order, lastPrice(order.symbol));
  }
  account.publish({ kind: "order", order });
  exchange.settle(account);
  return order;
}

/** Once a part is filled, stop and target belong to the position (https://bybit-exchange.github.io/docs/v5/error, 110059). */
function checkProtectionUnfilled(order: Order, asked: z.infer<typeof AmendOrder>): void {
  const changes = asked.takeProfit !== undefined || asked.stopLoss !== undefined;
  if (!changes || order.filledQuantity.isZero()) return;
  throw new BybitError(
    RetCode.protectionOfPartlyFilled,
    "Not allowed to modify the TP/SL of a partially filled open order",
  );
}

function amended(order: Order, asked: z.infer<typeof AmendOrder>): OrderRequest {
  if (isProtection(order) && (asked.qty !== undefined || asked.price !== undefined)) {
    throw new BybitError(
      RetCode.invalidParameter,
      "only triggerPrice of a stop or target can change",
    );
  }
  const { trigger } = order;
  return {
    ...order,
    quantity: asked.qty ?? order.quantity,
    price: order.type === "Limit" ? (asked.price ?? order.price) : undefined,
    trigger: trigger && { ...trigger, price: asked.triggerPrice ?? trigger.price },
    protection: {
      takeProfit: amendedLevel(order.protection.takeProfit, asked.takeProfit),
      stopLoss: amendedLevel(order.protection.stopLoss, asked.stopLoss),
    },
  };
}

/** Zero removes a level. */
function amendedLevel(
  before: Decimal | undefined,
  asked: Decimal | undefined,
): Decimal | undefined {
  if (asked === undefined) return before;
  return asked.isZero() ? undefined : asked;
}

type Terms = Pick<OrderRequest, "quantity" | "price" | "trigger"> & {
  readonly protection: Protection;
};

function sameTerms(left: Terms, right: Terms): boolean {
  const [before, after] = [left, right].map((terms) =>
    JSON.stringify([terms.quantity, terms.price, terms.trigger, terms.protection]),
  );
  return before === after;
}
