import type { BotConfig, Intent } from "@tradingbots/crds";
import type { Balance, EntryOrder, PositionSide } from "../exchange/exchange.ts";
import { text } from "../money.ts";
import { protectionLevels } from "../orders/levels.ts";
import { candleReference, orderId } from "../orders/order-id.ts";
import { positionSize, type Size } from "../orders/sizing.ts";
import { blocked, committedMargin, entryRefusal, type Refusal } from "../risk/gate.ts";
import type { ProposedCandle } from "./candle-series.ts";
import { foreignHolding } from "./reconcile.ts";
import { eventRecord, orderRecord } from "./records.ts";
import type { TraderDeps } from "./trader-deps.ts";
import { type Work, workFromIntent } from "./work.ts";

export interface EntryWish extends ProposedCandle {
  readonly symbol: string;
  readonly side: PositionSide;
  /** The first entry of this process: one before may have sent the same order. */
  readonly lookUpFirst: boolean;
}

/** What came of a wish: work to be followed, a refusal, or a foreign holding that was found. */
export type EntryResult =
  | { readonly kind: "sent"; readonly work: Work }
  | { readonly kind: "refused"; readonly refusal: Refusal }
  | { readonly kind: "foreign"; readonly message: string };

/**
 * Opens a position: gate → intent in the journal → order with stop and target → outcome. Whatever the answer, from the moment
 * of sending there is work to be followed until the exchange has told what became of it.
 */
export async function enterPosition(deps: TraderDeps, wish: EntryWish): Promise<EntryResult> {
  const [early] = blocked(deps.standing(wish.symbol));
  if (early !== undefined) return { kind: "refused", refusal: early };
  return deps.account.oneEntry(() => enterAlone(deps, wish));
}

async function enterAlone(deps: TraderDeps, wish: EntryWish): Promise<EntryResult> {
  const { symbol } = wish;
  const [view, orders, balance] = await Promise.all([
    deps.exchange.position(symbol),
    deps.exchange.openOrders(symbol),
    deps.account.refreshBalance(),
  ]);
  const foreign = foreignHolding([], { symbol, held: view.held, orders });
  if (foreign !== undefined) return { kind: "foreign", message: foreign };
  const size = sizeOf(deps, wish, balance);
  const refusal = entryRefusal({
    standing: deps.standing(symbol),
    confidence: wish.proposal.confidence,
    size,
    equity: balance.equity,
    committed: committedMargin(balance),
    market: deps.exchange.market(symbol),
  });
  if (refusal !== undefined) return { kind: "refused", refusal };
  const unset = await setLeverage(deps, symbol, view.leverage);
  if (unset !== undefined) return { kind: "refused", refusal: unset };
  return writeAndSend(deps, wish, size);
}

function sizeOf(deps: TraderDeps, { symbol, candle }: EntryWish, balance: Balance): Size {
  const { positionPercent, leverage } = deps.config().risk;
  const market = deps.exchange.market(symbol);
  return positionSize({
    equity: balance.equity,
    price: candle.close,
    positionPercent,
    leverage,
    market,
  });
}

/** The symbol is flat here: the only time at which leverage may change. */
async function setLeverage(
  deps: TraderDeps,
  symbol: string,
  current: number | undefined,
): Promise<Refusal | undefined> {
  const { leverage } = deps.config().risk;
  if (current === leverage) return undefined;
  const outcome = await deps.exchange.setLeverage(symbol, leverage);
  if (outcome.kind === "accepted") return undefined;
  deps.account.noteError();
  return {
    reason: "LeverageNotSet",
    message: `leverage ${leverage}: ${outcome.message} (${outcome.code})`,
  };
}

/** The write-ahead: an order that is not in the journal under the current epoch is not sent. */
async function writeAndSend(deps: TraderDeps, wish: EntryWish, size: Size): Promise<EntryResult> {
  const { symbol, side, candle } = wish;
  const config = deps.config();
  const order = entryOrder(deps, wish, size);
  const intent = intentOf(order, { wish, config, atMs: deps.nowMs() });
  if (wish.lookUpFirst && (await deps.exchange.findOrder(order)) !== undefined) {
    deps.log.warn("entry-found", { symbol, clientOrderId: order.clientOrderId });
    return { kind: "sent", work: workFromIntent(intent, true) };
  }
  const appended = await deps.journal.appendIntent(intent);
  const atMs = deps.nowMs();
  const notSent = (code: string, message: string): EntryResult => {
    // Closes the intent, should the journal hold it.
    deps.record(
      orderRecord({ ...order, purpose: "entry", status: "cancelled", code, message }, atMs),
    );
    return { kind: "refused", refusal: { reason: code, message } };
  };
  if (appended === "stale" || appended === "refused") {
    const message = `${side} ${symbol} at ${text(candle.close)}: the journal did not take the intent (${appended})`;
    return { kind: "refused", refusal: { reason: "IntentRefused", message } };
  }
  if (appended === "unconfirmed")
    return notSent("IntentUnconfirmed", "the journal did not confirm the intent");
  // A halt or a changed state may have come while the journal wrote.
  const [late] = blocked(deps.standing(symbol));
  if (late !== undefined) return notSent(late.reason, late.message);
  return send(deps, order, intent);
}

async function send(deps: TraderDeps, order: EntryOrder, intent: Intent): Promise<EntryResult> {
  const work = workFromIntent(intent, false);
  const outcome = await deps.exchange.submitEntry(order);
  deps.metrics.count("bot_orders_total", { purpose: "entry", outcome: outcome.kind });
  deps.log.info("entry-sent", { clientOrderId: order.clientOrderId, outcome: outcome.kind });
  const said = outcome.kind === "accepted" ? { exchangeOrderId: outcome.exchangeOrderId } : outcome;
  deps.record(
    orderRecord({ ...order, ...said, purpose: "entry", status: outcome.kind }, deps.nowMs()),
  );
  if (outcome.kind === "accepted") {
    deps.account.clearErrors();
    return { kind: "sent", work: { ...work, entry: "open" } };
  }
  deps.account.noteError();
  if (outcome.kind === "unknown") return { kind: "sent", work };
  return {
    kind: "refused",
    refusal: { reason: "ExchangeRefused", message: `${outcome.message} (${outcome.code})` },
  };
}

function entryOrder(deps: TraderDeps, wish: EntryWish, size: Size): EntryOrder {
  const { symbol, side, candle } = wish;
  const { botUid, timeframe, risk } = deps.config();
  const reference = candleReference(candle.openTimeMs);
  const market = deps.exchange.market(symbol);
  return {
    symbol,
    // A refused or lost entry is never sent again: the next candle is another order. So the attempt stays 0.
    clientOrderId: orderId({ botUid, symbol, timeframe, reference, leg: "entry", attempt: 0 }),
    side: side === "long" ? "buy" : "sell",
    quantity: size.quantity,
    ...protectionLevels({ side, price: candle.close }, risk, market),
  };
}

function intentOf(
  order: EntryOrder,
  from: { readonly wish: EntryWish; readonly config: BotConfig; readonly atMs: number },
): Intent {
  return {
    clientOrderId: order.clientOrderId,
    attempt: 0,
    symbol: order.symbol,
    side: order.side,
    quantity: text(order.quantity),
    leverage: from.config.risk.leverage,
    stopLoss: text(order.stopLoss),
    takeProfit: text(order.takeProfit),
    candleOpenTime: candleReference(from.wish.candle.openTimeMs),
    confidence: from.wish.proposal.confidence,
    at: new Date(from.atMs).toISOString(),
  };
}

/** What the user reads about a signal that led to no order. */
export function refusalEvent(wish: EntryWish, refusal: Refusal, atMs: number) {
  const signal = `${wish.proposal.note}: ${wish.side} ${wish.symbol} at ${text(wish.candle.close)}`;
  const kind = refusal.reason === "AutoTradeOff" ? "signal" : "entry-refused";
  return eventRecord(kind, `${signal}; ${refusal.reason}: ${refusal.message}`, atMs);
}
