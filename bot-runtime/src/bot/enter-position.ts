import type { BotConfig, Intent } from "@tradingbots/crds";
import {
  type Balance,
  type EntryOrder,
  type Market,
  OPENING_LEASE_MS,
  type PositionSide,
  RECEIVE_WINDOW_MS,
} from "../exchange/exchange.ts";
import { type Amount, Decimal, text } from "../money.ts";
import { protectionLevels } from "../orders/levels.ts";
import { candleReference } from "../orders/order-id.ts";
import { positionSize, type Size } from "../orders/sizing.ts";
import {
  commitmentLimit,
  committedMargin,
  entryRefusal,
  firstBlock,
  type Refusal,
} from "../risk/gate.ts";
import type { ProposedCandle } from "./candle-series.ts";
import { areTermsKept } from "./entry-terms.ts";
import { foreignHolding } from "./reconcile.ts";
import { eventRecord, orderRecord } from "./records.ts";
import type { TraderDeps } from "./trader-deps.ts";
import { type Work, workFromIntent } from "./work.ts";
import type { Works } from "./works.ts";

/** A signal that waited longer behind the exchange or other symbols' entries speaks of a price that is gone. */
const SIGNAL_MAX_AGE_MS = 10_000;
/** An entry leaves at most this long after its decision; the exchange's receive window bounds what a frozen process holds up. */
const DECISION_MAX_AGE_MS = 2_000;
/** What a change of the leverage goes by may be so old: of the receive window, which runs from the question, the rest is its way. */
const FLAT_MAX_AGE_MS = 3_000;

/** Of a margin that the journal adds to others': quotients have no end. */
const COMMITMENT_PLACES = 8;

export interface EntrySignal extends ProposedCandle {
  readonly symbol: string;
  readonly side: PositionSide;
  /** Client order id: the candle's, or the request's. A refused or lost entry is never sent again: the next one is another order. */
  readonly entryId: string;
  /** In force when the signal was acted on: the entry follows all of it that concerns it, or is not sent. */
  readonly config: BotConfig;
  /** Somebody's who asked for it, and until when it may be at the exchange (exchange's clock, ms); undefined for a strategy's. */
  readonly request?: { readonly id: string; readonly notAfterMs: number };
}

/** What came of a wish: work that is followed from now on, a refusal, or a foreign holding that was found. */
export type EntryResult =
  | { readonly kind: "sent"; readonly work: Work }
  | { readonly kind: "refused"; readonly refusal: Refusal }
  | { readonly kind: "foreign"; readonly message: string };

/** What the trader follows: an entry is added before its request leaves, and removed only when it is definitely refused. */
type FollowedWorks = Pick<Works, "add" | "remove" | "isSent" | "haveSent">;

/**
 * Opens a position: gate → intent in the journal → order with stop and target → outcome. From before the sending there is
 * work to be followed until the exchange has told what became of it: a bot with an entry in flight is not flat.
 */
export async function enterPosition(
  deps: TraderDeps,
  wish: EntrySignal,
  works: FollowedWorks,
): Promise<EntryResult> {
  const early = firstBlock(deps.standing(wish.symbol)) ?? outdated(deps, wish);
  if (early !== undefined) return { kind: "refused", refusal: early };
  return deps.account.oneEntry(() => enterAlone(deps, wish, works));
}

async function enterAlone(
  deps: TraderDeps,
  wish: EntrySignal,
  works: FollowedWorks,
): Promise<EntryResult> {
  const { symbol } = wish;
  const balanceAskedMs = deps.monotonicMs();
  const askedMs = deps.nowMs();
  const [view, orders, balance] = await Promise.all([
    deps.exchange.position(symbol),
    deps.exchange.openOrders(symbol),
    deps.account.refreshBalance(),
  ]);
  const foreign = foreignHolding([], { symbol, held: view.held, orders });
  if (foreign !== undefined) return { kind: "foreign", message: foreign };
  const market = deps.exchange.market(symbol);
  if (market === undefined) return { kind: "refused", refusal: notTraded(deps, symbol) };
  const size = sizeOf(wish, market, balance);
  const committed = committedMargin(balance);
  // What stands in the way of any entry was asked before, and is asked again last of all.
  const refusal = entryRefusal({
    risk: wish.config.risk,
    confidence: wish.proposal.confidence,
    size,
    equity: balance.equity,
    committed,
    price: wish.candle.close,
    market,
  });
  if (refusal !== undefined) return { kind: "refused", refusal };
  const isLevered = view.leverage === wish.config.risk.leverage;
  const asked = { madeMs: askedMs, madeAtMs: balanceAskedMs };
  const unset = isLevered ? undefined : await setLeverage(deps, wish, asked);
  const old = unset ?? outdated(deps, wish);
  if (old !== undefined) return { kind: "refused", refusal: old };
  const order = entryOrder(wish, market, size);
  if (works.isSent(order.clientOrderId)) return { kind: "refused", refusal: alreadyEntered(wish) };
  // A process before this one may have sent the same order: its candle's, as its first entry, or a request's at any time.
  const mayBeSent = !works.haveSent || wish.request !== undefined;
  if (mayBeSent && (await deps.exchange.findOrder(order)) !== undefined) {
    deps.log.warn("entry-found", { symbol, clientOrderId: order.clientOrderId });
    // The journal did not remember it as open: its result is among those that it has counted.
    const taken = { adopted: true, counts: false, takenUpMs: deps.monotonicMs() };
    const work = workFromIntent(intentOf(order, wish, deps.nowMs()), taken);
    works.add(work);
    return { kind: "sent", work };
  }
  const measured = { order, size, equity: balance.equity, committed, balanceAskedMs };
  const decision = decide(deps, wish, measured);
  const unwritten = await writeIntent(deps, wish, decision);
  // Nothing is awaited between the last check and the sending.
  return unwritten === undefined
    ? send(deps, works, decision)
    : { kind: "refused", refusal: unwritten };
}

interface Decision {
  readonly order: EntryOrder;
  readonly intent: Intent;
  readonly byRequest: boolean;
  /** Monotonic clock, ms. */
  readonly madeAtMs: number;
}

/** An order, and what of the account it was measured against. */
interface Measured {
  readonly order: EntryOrder;
  readonly size: Size;
  readonly equity: Amount;
  readonly committed: Amount;
  /** When the balance was asked for; monotonic clock, ms. */
  readonly balanceAskedMs: number;
}

function decide(deps: TraderDeps, wish: EntrySignal, measured: Measured): Decision {
  const { order } = measured;
  const madeMs = deps.nowMs();
  const madeAtMs = deps.monotonicMs();
  // A paper bot's account is in its own memory.
  const commitment =
    wish.config.mode === "paper" ? undefined : commitmentOf(wish, measured, madeAtMs);
  const intent = { ...intentOf(order, wish, madeMs), commitment };
  const byRequest = wish.request !== undefined;
  return { order: { ...order, madeMs }, intent, byRequest, madeAtMs };
}

/** The gate judged by a balance that shows no order of the last moment: the journal adds those of the account's other entries. */
function commitmentOf(
  { config }: EntrySignal,
  { size, equity, committed, balanceAskedMs }: Measured,
  nowMs: number,
): NonNullable<Intent["commitment"]> {
  const limit = commitmentLimit(equity, config.risk.balancePercent);
  return {
    margin: size.margin.toDecimalPlaces(COMMITMENT_PLACES, Decimal.ROUND_UP).toFixed(),
    committed: committed.toDecimalPlaces(COMMITMENT_PLACES).toFixed(),
    balanceAgeMs: Math.ceil(nowMs - balanceAskedMs),
    limit: limit.toDecimalPlaces(COMMITMENT_PLACES, Decimal.ROUND_UP).toFixed(),
  };
}

/** Reason of an entry that was wanted until a time which is over. */
export const EXPIRED = "Expired";

/** Until a time of the exchange's clock, ms; NaN is long ago. */
export function msUntil({ exchange, nowMs }: TraderDeps, exchangeMs: number): number {
  const leftMs = exchangeMs - (nowMs() - (exchange.clock()?.skewMs ?? 0));
  return Number.isNaN(leftMs) ? -Infinity : leftMs;
}

/** Why the wish is of the past: too old, wanted no longer, or made under another configuration. */
function outdated(deps: TraderDeps, wish: EntrySignal): Refusal | undefined {
  const leftMs = wish.request === undefined ? Infinity : msUntil(deps, wish.request.notAfterMs);
  // The exchange itself refuses what arrives later than that.
  if (leftMs < OPENING_LEASE_MS)
    return { reason: EXPIRED, message: "too little time was left when the order was to be sent" };
  const ageMs = Math.round(deps.monotonicMs() - wish.sentMs);
  if (ageMs > SIGNAL_MAX_AGE_MS)
    return { reason: "StaleSignal", message: `the candle was sent ${ageMs} ms ago` };
  const { symbol, config, request } = wish;
  if (areTermsKept({ symbol, config, requestId: request?.id }, deps.config())) return undefined;
  return {
    reason: "ConfigChanged",
    message: `what the entry goes by (strategy, timeframe, risk, or a request for ${symbol}) changed while it was prepared`,
  };
}

/** The same candle again, e.g. shown to a strategy that started anew: its order was sent, whatever became of it. */
function alreadyEntered({ symbol, candle }: EntrySignal): Refusal {
  const at = candleReference(candle.openTimeMs);
  return {
    reason: "AlreadyEntered",
    message: `the candle ${at} of ${symbol} had its order already`,
  };
}

/** Of a contract that was delisted, is about to be, or never was. */
export function notTraded({ config }: Pick<TraderDeps, "config">, symbol: string): Refusal {
  return {
    reason: "SymbolNotTraded",
    message: `${config().exchange} does not trade ${symbol} (any more): nothing is opened there; correct its name or take it out of the bot's symbols`,
  };
}

function tooLate(deps: TraderDeps, { madeAtMs }: Decision): Refusal | undefined {
  const ageMs = Math.round(deps.monotonicMs() - madeAtMs);
  if (ageMs <= DECISION_MAX_AGE_MS) return undefined;
  return { reason: "TooLate", message: `${ageMs} ms passed between the decision and the order` };
}

/** The same of what the leverage is changed by. */
function tooOld(deps: TraderDeps, madeAtMs: number): Refusal | undefined {
  const ageMs = Math.round(deps.monotonicMs() - madeAtMs);
  if (ageMs <= FLAT_MAX_AGE_MS) return undefined;
  const message = `the exchange took ${ageMs} ms to say that nothing is open: the leverage is not changed by so old an answer`;
  return { reason: "TooLate", message };
}

function sizeOf({ candle, config }: EntrySignal, market: Market, balance: Balance): Size {
  const { positionPercent, leverage } = config.risk;
  return positionSize({
    equity: balance.equity,
    price: candle.close,
    positionPercent,
    leverage,
    market,
  });
}

/**
 * The symbol was flat when it was asked: the only time at which leverage may change. It would move the liquidation of whatever
 * is open there, so it is fenced as the order is: by the gate, by the lease, and by the time of the question in its signature.
 */
async function setLeverage(
  deps: TraderDeps,
  wish: EntrySignal,
  asked: Pick<Decision, "madeAtMs"> & { readonly madeMs: number },
): Promise<Refusal | undefined> {
  const { symbol, config } = wish;
  const barred =
    firstBlock(deps.standing(symbol)) ?? outdated(deps, wish) ?? tooOld(deps, asked.madeAtMs);
  if (barred !== undefined) return barred;
  deps.journal.keepLeaseFor(RECEIVE_WINDOW_MS);
  const { leverage } = config.risk;
  const outcome = await deps.exchange.setLeverage(symbol, leverage, { madeMs: asked.madeMs });
  if (outcome.kind === "accepted") return undefined;
  if (outcome.kind === "unknown" || outcome.final) deps.account.noteError();
  return {
    reason: "LeverageNotSet",
    message: `leverage ${leverage}: ${outcome.message} (${outcome.code})`,
  };
}

/** The write-ahead: an order that is not in the journal under the current epoch is not sent. Gives the reason not to send. */
async function writeIntent(
  deps: TraderDeps,
  wish: EntrySignal,
  decision: Decision,
): Promise<Refusal | undefined> {
  const { order } = decision;
  const appended = await deps.journal.appendIntent(decision.intent);
  if (appended === "committed") {
    const message =
      "other entries of the account are under way: together they would commit more than balancePercent of its equity";
    return { reason: "BalanceCommitted", message };
  }
  if (appended === "halted") {
    const message = "the journal knows a halt that concerns this entry";
    return { reason: "Halted", message };
  }
  if (appended === "stale" || appended === "refused") {
    const message = `${order.side} ${order.symbol}: the journal did not take the intent (${appended})`;
    return { reason: "IntentRefused", message };
  }
  // A halt or a changed configuration may have come while the journal wrote, and time has passed.
  const halted = firstBlock(deps.standing(order.symbol));
  const late = halted ?? outdated(deps, wish) ?? tooLate(deps, decision);
  const refusal =
    appended === "unconfirmed"
      ? { reason: "IntentUnconfirmed", message: "the journal did not confirm the intent" }
      : late;
  if (refusal === undefined) return undefined;
  // Closes the intent, should the journal hold it.
  const { reason: code, message } = refusal;
  const closed = { ...order, purpose: "entry", status: "cancelled", code, message } as const;
  deps.record(orderRecord(closed, deps.nowMs()));
  return refusal;
}

async function send(
  deps: TraderDeps,
  works: FollowedWorks,
  { order, intent, byRequest }: Decision,
): Promise<EntryResult> {
  const taken = { adopted: false, byRequest, takenUpMs: deps.monotonicMs() };
  const work = workFromIntent(intent, taken);
  works.add(work);
  const outcome = await deps.exchange.submitEntry(order);
  deps.metrics.count("bot_orders_total", { purpose: "entry", outcome: outcome.kind });
  deps.log.info("entry-sent", { clientOrderId: order.clientOrderId, outcome: outcome.kind });
  const said = outcome.kind === "accepted" ? { exchangeOrderId: outcome.exchangeOrderId } : outcome;
  deps.record(
    orderRecord({ ...order, ...said, purpose: "entry", status: outcome.kind }, deps.nowMs()),
  );
  if (outcome.kind === "accepted") {
    deps.account.clearErrors();
    work.entry = "open";
    return { kind: "sent", work };
  }
  // What was turned away for traffic, clock or ban says nothing of the bot.
  if (outcome.kind === "unknown" || outcome.final) deps.account.noteError();
  if (outcome.kind === "unknown") return { kind: "sent", work };
  // Whoever waits for its end follows it still.
  work.entry = "over";
  works.remove(work);
  return {
    kind: "refused",
    refusal: { reason: "ExchangeRefused", message: `${outcome.message} (${outcome.code})` },
  };
}

function entryOrder(wish: EntrySignal, market: Market, size: Size): EntryOrder {
  const { symbol, side, candle, entryId } = wish;
  return {
    symbol,
    clientOrderId: entryId,
    side: side === "long" ? "buy" : "sell",
    quantity: size.quantity,
    ...protectionLevels({ side, price: candle.close }, wish.config.risk, market),
  };
}

function intentOf(order: EntryOrder, wish: EntrySignal, atMs: number): Intent {
  return {
    clientOrderId: order.clientOrderId,
    attempt: 0,
    symbol: order.symbol,
    side: order.side,
    quantity: text(order.quantity),
    leverage: wish.config.risk.leverage,
    stopLoss: text(order.stopLoss),
    takeProfit: text(order.takeProfit),
    candleOpenTime: candleReference(wish.candle.openTimeMs),
    confidence: wish.proposal.confidence,
    at: new Date(atMs).toISOString(),
  };
}

/** What the user reads about a signal that led to no order. */
export function refusalEvent(wish: EntrySignal, refusal: Refusal, atMs: number) {
  const signal = `${wish.proposal.note}: ${wish.side} ${wish.symbol} at ${text(wish.candle.close)}`;
  const kind = refusal.reason === "AutoTradeOff" ? "signal" : "entry-refused";
  return eventRecord(kind, `${signal}; ${refusal.reason}: ${refusal.message}`, atMs);
}
