import type { OrderView } from "../exchange/exchange.ts";
import { ZERO_QUANTITY } from "../money.ts";
import {
  accountForFills,
  exchangeTime,
  HIDDEN_MAX_MS,
  isAccountedFor,
  recordTrade,
} from "./account-for-fills.ts";
import { lookUps } from "./look-ups.ts";
import { placeUnknownStop } from "./protect-position.ts";
import { isOfOthers } from "./reconcile.ts";
import { type OrderFacts, orderRecord } from "./records.ts";
import { isEntryUnwanted } from "./standing-orders.ts";
import type { TraderDeps } from "./trader-deps.ts";
import { heldOf, UNREAD, type Work } from "./work.ts";

/** An entry whose order is not shown is looked for among the executions after this. */
const SETTLE_WINDOW_MS = 20_000;
/**
 * One of which the exchange knows nothing (no order, no execution, no position) is lost after this time, and holds up no other.
 * Its receive window ended long before, so what it opened has been opened; the rest is for a position that is shown late.
 */
const LOST_AFTER_MS = 75_000;
/** A market order fills or ends at once; one that stays open longer is cancelled. */
const OPEN_MAX_MS = 60_000;
/** Pause between two cancellations of the same order. */
const CANCEL_EVERY_MS = 1_000;

/** Finds out what became of the entry order, and cancels it where it is not wanted any more. */
export async function settleEntry(deps: TraderDeps, work: Work): Promise<void> {
  const reference = { symbol: work.symbol, clientOrderId: work.entryId };
  const order = await lookUps(deps, work).findOrder(reference);
  if (order === undefined) await settleMissingEntry(deps, work);
  else await settleFoundEntry(deps, work, order);
  if (work.entry !== "over" && isCancellable(deps, work)) await cancelEntry(deps, work);
}

async function settleFoundEntry(deps: TraderDeps, work: Work, order: OrderView): Promise<void> {
  work.contradiction = undefined;
  work.lost = false;
  // By the exchange's clock, however wrong this machine's was.
  if (order.createdMs < work.sinceMs) {
    work.sinceMs = order.createdMs;
    work.settled = UNREAD;
  }
  if (order.status === "open") {
    if (work.entry === "unknown") deps.record(orderRecord(entryFacts(work, order), deps.nowMs()));
    work.entry = "open";
    return;
  }
  await accountForFills(deps, work);
  if (!isAccountedFor(work, order)) return;
  endEntry(deps, work, entryFacts(work, order));
}

/**
 * The trade is told before the order: a journal that heard one and not the other must not take for over what it knows no trade
 * of, because no later process would take it up.
 */
function endEntry(deps: TraderDeps, work: Work, facts: OrderFacts): void {
  work.contradiction = undefined;
  work.entry = "over";
  work.lost = false;
  recordTrade(deps, work);
  deps.record(orderRecord(facts, deps.nowMs()));
}

/** "Not found" is not "not placed": only silence of orders, executions and position over the whole window is. */
async function settleMissingEntry(deps: TraderDeps, work: Work): Promise<void> {
  const waitedMs = deps.monotonicMs() - work.takenUpMs;
  if (waitedMs < SETTLE_WINDOW_MS) return;
  await accountForFills(deps, work);
  if (work.account.entered.gt(0)) {
    // Its order is too old to be found; its executions say all that there is to know.
    endEntry(deps, work, foundByExecutions(work));
    return;
  }
  if (work.filled) {
    // Looked at again and again: the key may come back.
    work.contradiction = `${work.symbol}: the journal knows the ${work.side} position of order ${work.entryId}, but this exchange account never had that order; give the bot the key of the account that it traded on`;
    return;
  }
  // A process that took it up sees for itself what is there now.
  // Also where the exchange has said that it accepted the entry, or shows a position: its stop may have struck until then.
  const isOver = waitedMs >= LOST_AFTER_MS && sentAgoMs(deps, work) >= HIDDEN_MAX_MS;
  const holds = await mayHold(deps, work);
  if ((holds || work.entry === "open") && !isOver) {
    if (holds) await placeUnknownStop(deps, work);
    work.lost = false;
    work.contradiction = `${work.symbol}: the exchange took order ${work.entryId} or holds a position, but shows no such order; it is looked for`;
    return;
  }
  // What was there has gone, and was another's.
  work.contradiction = undefined;
  if (isOver) endEntry(deps, work, neverReceived(work));
  else if (waitedMs >= LOST_AFTER_MS) lose(deps, work);
}

/**
 * By the clock that nobody sets since this process knows of it; where another one sent it, by the exchange's since the decision,
 * which has that one's wall clock: it may be as wrong as the gate allows.
 */
function sentAgoMs(deps: TraderDeps, { adopted, takenUpMs, intended }: Work): number {
  const exchangeMs = exchangeTime(deps);
  const knownMs = deps.monotonicMs() - takenUpMs;
  if (!adopted || exchangeMs === undefined || intended === undefined) return knownMs;
  return Math.max(knownMs, exchangeMs - intended.atMs);
}

/** The journal goes on to hold its intent for open: whoever comes after this process has to look for it as well. */
function lose(deps: TraderDeps, work: Work): void {
  if (!work.lost) deps.record(orderRecord(notShown(work), deps.nowMs()));
  work.lost = true;
}

/** A position in the entry's direction is there, and other orders do not account for it. */
async function mayHold(deps: TraderDeps, work: Work): Promise<boolean> {
  const held = heldOf(work);
  if (held === undefined) return false;
  const { symbol, sinceMs } = work;
  const executions = await lookUps(deps, work).executions({ symbol, sinceMs });
  return !isOfOthers(held, executions, work.entryId);
}

function isCancellable(deps: TraderDeps, work: Work): boolean {
  const now = deps.monotonicMs();
  if (now - work.entryCancelledMs < CANCEL_EVERY_MS) return false;
  return isEntryUnwanted(deps.config(), work) || now - work.takenUpMs > OPEN_MAX_MS;
}

/** By id, known to the exchange or not: a request that is still on its way there comes to nothing, or is cancelled next time. */
async function cancelEntry(deps: TraderDeps, work: Work): Promise<void> {
  work.entryCancelledMs = deps.monotonicMs();
  const { symbol, entryId: clientOrderId } = work;
  const outcome = await deps.exchange.cancel({ symbol, clientOrderId });
  deps.log.info("entry-cancelled", { clientOrderId, outcome: outcome.kind });
}

function entryFacts(work: Work, order: OrderView): OrderFacts {
  const over = order.filledQuantity.gt(0) && order.status !== "open" ? "filled" : order.status;
  return {
    clientOrderId: work.entryId,
    exchangeOrderId: order.exchangeOrderId,
    symbol: work.symbol,
    purpose: "entry",
    side: order.side,
    // What was cancelled of it after a part was never bought.
    quantity: over === "filled" ? order.filledQuantity : order.quantity,
    status: over === "open" ? "accepted" : over,
  };
}

function foundByExecutions(work: Work): OrderFacts {
  return { ...unseen(work), quantity: work.account.entered, status: "filled" };
}

function neverReceived(work: Work): OrderFacts {
  return {
    ...unseen(work),
    quantity: ZERO_QUANTITY,
    status: "cancelled",
    code: "NotFound",
    message: "the exchange never received the order",
  };
}

function notShown(work: Work): OrderFacts {
  return {
    ...unseen(work),
    quantity: work.intended?.units ?? ZERO_QUANTITY,
    status: "unknown",
    code: "NotFound",
    message:
      "the exchange shows nothing of the order; until ten minutes after it was sent it is looked for, should the exchange show it late",
  };
}

/** What is known of an entry that the exchange shows no order of. */
function unseen({ entryId, symbol, side }: Work) {
  const entrySide = side === "long" ? "buy" : "sell";
  return { clientOrderId: entryId, symbol, purpose: "entry", side: entrySide } as const;
}
