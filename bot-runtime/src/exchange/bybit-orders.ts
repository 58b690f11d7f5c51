import { OrderCancelled, OrderPlaced } from "./bybit-answers.ts";
import type { BybitClient } from "./bybit-client.ts";
import { request } from "./bybit-names.ts";
import type {
  Dated,
  EntryOrder,
  ExitOrder,
  Levels,
  OrderReference,
  Outcome,
  PlacedReference,
} from "./exchange.ts";

/** https://bybit-exchange.github.io/docs/v5/order/create-order */
export async function submitEntry(client: BybitClient, order: EntryOrder): Promise<Outcome> {
  const answer: unknown = await client.privatePostV5OrderCreate({
    ...dated(order),
    ...request(order.symbol),
    side: order.side === "buy" ? "Buy" : "Sell",
    orderType: "Market",
    qty: order.quantity.toFixed(),
    stopLoss: order.stopLoss.toFixed(),
    takeProfit: order.takeProfit.toFixed(),
    // The whole position carries them, however many slices the order fills in, and moving them moves them for all of it.
    tpslMode: "Full",
    orderLinkId: order.clientOrderId,
    positionIdx: 0,
  });
  return placed(answer, order.clientOrderId);
}

/** Quantity 0 closes all that is held. */
export async function submitExit(client: BybitClient, order: ExitOrder): Promise<Outcome> {
  const whole = order.wholePosition === true;
  const answer: unknown = await client.privatePostV5OrderCreate({
    ...dated(order),
    ...request(order.symbol),
    side: order.side === "buy" ? "Buy" : "Sell",
    orderType: "Market",
    qty: whole ? "0" : order.quantity.toFixed(),
    orderLinkId: order.clientOrderId,
    reduceOnly: true,
    ...(whole && { closeOnTrigger: true }),
    positionIdx: 0,
  });
  return placed(answer, order.clientOrderId);
}

/** An empty 200 comes back from ccxt as success without an id. */
function placed(answer: unknown, clientOrderId: string): Outcome {
  const result = OrderPlaced.safeParse(answer).data?.result;
  if (result?.orderLinkId !== clientOrderId) return incomplete;
  return { kind: "accepted", exchangeOrderId: result.orderId };
}

export async function cancel(
  client: BybitClient,
  reference: OrderReference | PlacedReference,
): Promise<Outcome> {
  const answer: unknown = await client.privatePostV5OrderCancel({
    ...request(reference.symbol),
    ...("clientOrderId" in reference
      ? { orderLinkId: reference.clientOrderId }
      : { orderId: reference.exchangeOrderId }),
  });
  const cancelled = OrderCancelled.safeParse(answer);
  if (!cancelled.success) return incomplete;
  return { kind: "accepted", exchangeOrderId: cancelled.data.result.orderId };
}

export async function protect(
  client: BybitClient,
  symbol: string,
  levels: Levels & Dated,
): Promise<Outcome> {
  await client.privatePostV5PositionTradingStop({
    ...dated(levels),
    ...request(symbol),
    positionIdx: 0,
    tpslMode: "Full",
    stopLoss: levels.stopLoss.toFixed(),
    ...(levels.takeProfit === undefined ? {} : { takeProfit: levels.takeProfit.toFixed() }),
  });
  return { kind: "accepted", exchangeOrderId: undefined };
}

export async function setLeverage(
  client: BybitClient,
  change: Dated & { readonly symbol: string; readonly leverage: number },
): Promise<Outcome> {
  await client.privatePostV5PositionSetLeverage({
    ...dated(change),
    ...request(change.symbol),
    buyLeverage: `${change.leverage}`,
    sellLeverage: `${change.leverage}`,
  });
  return { kind: "accepted", exchangeOrderId: undefined };
}

/** For the signature (bybit-client.ts): Bybit does not get to see it. */
function dated({ madeMs, receiveWindowMs }: Dated): Dated {
  return {
    ...(madeMs !== undefined && { madeMs }),
    ...(receiveWindowMs !== undefined && { receiveWindowMs }),
  };
}

const incomplete: Outcome = {
  kind: "unknown",
  code: "IncompleteAnswer",
  message: "the answer names no such order",
};
