import { EntryAccepted, ExitAccepted, OrderCancelled } from "./bybit-answers.ts";
import { type BybitClient, request } from "./bybit-client.ts";
import type {
  EntryOrder,
  ExitOrder,
  Levels,
  OrderReference,
  Outcome,
  PlacedReference,
} from "./exchange.ts";

/** ccxt takes exact strings at run time wherever its types say number; nothing of an order passes through a double. */
type ExactOrder = (
  ...order: [
    symbol: string,
    type: "market",
    side: "buy" | "sell",
    quantity: string,
    price: undefined,
    params: Record<string, unknown>,
  ]
) => Promise<unknown>;

function isExactOrder(method: unknown): method is ExactOrder {
  return typeof method === "function";
}

export async function submitEntry(client: BybitClient, order: EntryOrder): Promise<Outcome> {
  const createOrder: unknown = client.createOrder.bind(client);
  if (!isExactOrder(createOrder)) throw new Error("ccxt has no createOrder");
  const { symbol, side, quantity } = order;
  const answer = await createOrder(symbol, "market", side, quantity.toFixed(), undefined, {
    ...(order.madeMs === undefined ? {} : { madeMs: order.madeMs }),
    stopLoss: { triggerPrice: order.stopLoss.toFixed() },
    takeProfit: { triggerPrice: order.takeProfit.toFixed() },
    // The whole position carries them, however many slices the order fills in, and moving them moves them for all of it.
    tpslMode: "Full",
    clientOrderId: order.clientOrderId,
    positionIdx: 0,
  });
  // An empty 200 comes back from ccxt as success without an id.
  const { data } = EntryAccepted.safeParse(answer);
  if (data?.clientOrderId !== order.clientOrderId) return incomplete;
  return { kind: "accepted", exchangeOrderId: data.id };
}

/**
 * Past ccxt's unified call, which refuses to send what it finds below the minimum or knows no rules of: an exit is the
 * exchange's to judge. Quantity 0 closes all that is held. https://bybit-exchange.github.io/docs/v5/order/create-order
 */
export async function submitExit(client: BybitClient, order: ExitOrder): Promise<Outcome> {
  const whole = order.wholePosition === true;
  const answer: unknown = await client.privatePostV5OrderCreate({
    ...request(client, order.symbol),
    side: order.side === "buy" ? "Buy" : "Sell",
    orderType: "Market",
    qty: whole ? "0" : order.quantity.toFixed(),
    orderLinkId: order.clientOrderId,
    reduceOnly: true,
    ...(whole && { closeOnTrigger: true }),
    positionIdx: 0,
  });
  const result = ExitAccepted.safeParse(answer).data?.result;
  if (result?.orderLinkId !== order.clientOrderId) return incomplete;
  return { kind: "accepted", exchangeOrderId: result.orderId };
}

export async function cancel(
  client: BybitClient,
  reference: OrderReference | PlacedReference,
): Promise<Outcome> {
  const answer: unknown = await client.privatePostV5OrderCancel({
    ...request(client, reference.symbol),
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
  levels: Levels,
): Promise<Outcome> {
  await client.privatePostV5PositionTradingStop({
    ...request(client, symbol),
    positionIdx: 0,
    tpslMode: "Full",
    stopLoss: levels.stopLoss.toFixed(),
    ...(levels.takeProfit === undefined ? {} : { takeProfit: levels.takeProfit.toFixed() }),
  });
  return { kind: "accepted", exchangeOrderId: undefined };
}

const incomplete: Outcome = {
  kind: "unknown",
  code: "IncompleteAnswer",
  message: "the answer names no such order",
};
