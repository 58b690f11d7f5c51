import { Decimal } from "./money.ts";
import type { Order } from "./order.ts";

/** What the market does next: trade at one price, or anywhere between two within a candle. */
export type Tick =
  | { readonly kind: "price"; readonly price: Decimal }
  | { readonly kind: "range"; readonly low: Decimal; readonly high: Decimal };

export type Match =
  | { readonly kind: "fill"; readonly price: Decimal; readonly maker: boolean }
  /** A conditional limit order was triggered and becomes active. */
  | { readonly kind: "activate" }
  /** A limit order that looked marketable was not: it rests in the book from now on. */
  | { readonly kind: "rest" }
  /** Immediate-or-cancel or fill-or-kill found no price. */
  | { readonly kind: "cancel" };

type Matchable = Pick<
  Order,
  "side" | "type" | "price" | "trigger" | "status" | "resting" | "timeInForce"
>;

/**
 * What a tick does to one open order; undefined when nothing.
 *
 * - Market and marketable limit orders trade at the next price, never inside a range.
 * - Resting limits trade at their own price when it is reached (touching is enough).
 * - Triggers fire when reached (touching is enough): at a price tick the order trades at that price, so a candle that opens
 *   beyond a stop fills it at the open; inside a range it trades at the trigger.
 */
export function matchOrder(order: Matchable, tick: Tick): Match | undefined {
  if (order.status === "Untriggered") return matchTrigger(order, tick);
  if (order.type === "Limit" && order.resting) return matchResting(order, tick);
  return tick.kind === "price" ? matchImmediate(order, tick.price) : undefined;
}

function matchTrigger(order: Matchable, tick: Tick): Match | undefined {
  const { trigger } = order;
  if (trigger === undefined) return undefined;
  const rising = trigger.direction === "rising";
  const [lowest, highest] =
    tick.kind === "price" ? [tick.price, tick.price] : [tick.low, tick.high];
  const reached = rising ? highest.gte(trigger.price) : lowest.lte(trigger.price);
  if (!reached) return undefined;
  if (order.type === "Limit") return { kind: "activate" };
  if (tick.kind === "price") return { kind: "fill", price: tick.price, maker: false };
  // A trigger that the whole range lies beyond trades at the range's nearer end, the first price there is.
  const price = rising
    ? Decimal.max(trigger.price, tick.low)
    : Decimal.min(trigger.price, tick.high);
  return { kind: "fill", price, maker: false };
}

function matchResting(order: Matchable, tick: Tick): Match | undefined {
  const { price } = order;
  if (price === undefined) return undefined;
  const [lowest, highest] =
    tick.kind === "price" ? [tick.price, tick.price] : [tick.low, tick.high];
  const reached = order.side === "Buy" ? lowest.lte(price) : highest.gte(price);
  return reached ? { kind: "fill", price, maker: true } : undefined;
}

function matchImmediate(order: Matchable, price: Decimal): Match {
  if (order.type === "Market" || isMarketable(order, price)) {
    return { kind: "fill", price, maker: false };
  }
  const rests = order.timeInForce === "GTC" || order.timeInForce === "PostOnly";
  return rests ? { kind: "rest" } : { kind: "cancel" };
}

/** Whether a limit order would trade at once at `price`. */
export function isMarketable(order: Pick<Order, "side" | "price">, price: Decimal): boolean {
  if (order.price === undefined) return true;
  return order.side === "Buy" ? price.lte(order.price) : price.gte(order.price);
}

/** A stop runs with the price (sell below, buy above), a target against it. */
function isStopLike(order: Pick<Order, "side" | "trigger">): boolean {
  return order.trigger?.direction === (order.side === "Sell" ? "falling" : "rising");
}

/** The order in which a tick serves orders: what hurts the account first. */
function urgency(order: Order): number {
  if (order.trigger === undefined || order.status !== "Untriggered") return 1;
  return isStopLike(order) ? 0 : 2;
}

/**
 * The next order that a tick serves: stops before active orders before targets, then by age. `bornBefore` is the sequence
 * at which the tick began: inside a range, a target that the same range created is left alone, because the range's favourable
 * end may have come before the entry; its stop is not, because the price passed the entry on the way to it.
 */
export function nextMatch(
  orders: Iterable<Order>,
  tick: Tick,
  bornBefore: number,
): { readonly order: Order; readonly match: Match } | undefined {
  let best: { readonly order: Order; readonly match: Match } | undefined;
  for (const order of orders) {
    const young = order.sequence >= bornBefore && tick.kind === "range" && urgency(order) > 0;
    if (young || (best !== undefined && !comesBefore(order, best.order))) continue;
    const match = matchOrder(order, tick);
    if (match !== undefined) best = { order, match };
  }
  return best;
}

function comesBefore(left: Order, right: Order): boolean {
  const difference = urgency(left) - urgency(right);
  return difference === 0 ? left.sequence < right.sequence : difference < 0;
}
