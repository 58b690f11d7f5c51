import type {
  Dated,
  Execution,
  ExitOrder,
  HeldPosition,
  OrderView,
  Outcome,
} from "../exchange/exchange.ts";
import { Decimal, quantity, text } from "../money.ts";
import { exitOrderIds, isOrderId, orderId } from "../orders/order-id.ts";
import { isDust } from "../orders/sizing.ts";
import { accountForFills, isAccountedFor, stillHeldAt } from "./account-for-fills.ts";
import { lookUps } from "./look-ups.ts";
import { eventRecord, orderRecord } from "./records.ts";
import type { TraderDeps } from "./trader-deps.ts";
import { seePosition } from "./see-position.ts";
import { type ExitAttempt, heldOf, type Work } from "./work.ts";

/**
 * An exit of which the exchange shows nothing for this long, while the position is still there, is sent again under the same
 * id. This is no blind retry: that the first one is still to be accepted is out of the question, for an exchange refuses it
 * 5 s after the question that it is signed with, or 12 s, and then it left 3 s after that question (account-for-fills.ts); 1 s
 * is what a signature may be ahead. One that was accepted and is not shown can do no harm where all that is held is the bot's:
 * both together reduce it to nothing at most, also where the exchange lets the id be used again as soon as its order is over.
 */
const SETTLE_WINDOW_MS = 10_000;
/**
 * The same in a position that is not the bot's alone: one that was accepted has filled, and its twin would close what somebody
 * else holds. So long an exchange may show nothing of it.
 */
const SHARED_SETTLE_WINDOW_MS = 60_000;

/** As of an entry (settle-entry.ts). */
const OPEN_MAX_MS = 60_000;
const CANCEL_EVERY_MS = 5_000;
/** So long an order for all that is held may be under way. */
const WHOLE_WAY_MS = 2_000;
/** Dust that the exchange refused to close is tried again after this. */
const DUST_RETRY_MS = 60_000;

const AT_ONCE: Work["exitRetry"] = { refusals: 0, wasFinal: false, notBeforeMs: -Infinity };
const RETRY_MIN_MS = 500;
/** A refused exit is tried again at least this often: what refuses it may end at any time, and the position has its stop. */
const RETRY_MAX_MS = 15_000;

interface SeenPosition {
  readonly held: HeldPosition;
  /** What the work was accounted by when that was asked for. */
  readonly before: string;
}

/**
 * Closes what is held of the work, with an id that derives from the entry's: every process that closes this trade sends the
 * same order. Never more than the work's own fills, never more than the position; needs no journal.
 */
export async function exitPosition(
  deps: TraderDeps,
  work: Work,
  seen: SeenPosition,
): Promise<void> {
  const isEarly = () => deps.monotonicMs() < work.exitRetry.notBeforeMs;
  if (isEarly()) return;
  work.exit ??= await firstAttempt(deps, work);
  if (work.exit.state !== "fresh") await lookUp(deps, work, seen.held);
  if (work.exit.state !== "fresh" || isEarly()) return;
  const known = (await askExecutions(deps, work, seen)) ?? (await askAnew(deps, work));
  if (known === undefined) return;
  const { held, dated } = known;
  if (hasFilled(work, work.exit.id)) {
    // Another process has sent it: what it left is closed by the next one, once that one is over.
    work.exit = { ...work.exit, state: "doubtful", sentMs: deps.monotonicMs(), isUsed: true };
    return;
  }
  const order = exitOrder(deps, work, held);
  if (order === undefined) return;
  const receiveWindowMs =
    order.wholePosition === true ? wholeWindowMs(deps, dated) : dated.receiveWindowMs;
  await sendExit(deps, work, { order: { ...order, ...dated, receiveWindowMs }, held });
}

interface KnownPosition {
  readonly held: HeldPosition;
  /** What the order is to be signed with. */
  readonly dated: Required<Dated>;
}

/** The position as it was seen, unless it holds nothing more of the work or moved before the executions were read. */
async function askExecutions(
  deps: TraderDeps,
  work: Work,
  { held, before }: SeenPosition,
): Promise<KnownPosition | undefined> {
  const dated = await stillHeldAt(deps, work);
  return dated === undefined || hasMoved(work, before) ? undefined : { held, dated };
}

/**
 * The same, with a position that is asked for now. Where somebody trades between any two looks, only what is executed between
 * these two questions is too much.
 */
async function askAnew(deps: TraderDeps, work: Work): Promise<KnownPosition | undefined> {
  if (work.account.unexplained === undefined || work.account.open.isZero()) return undefined;
  const before = work.accountedBy;
  seePosition(deps, work, (await lookUps(deps, work).position(work.symbol)).held);
  await accountForFills(deps, work);
  const held = heldOf(work);
  return held === undefined ? undefined : askExecutions(deps, work, { held, before });
}

function hasFilled({ account }: Work, id: string): boolean {
  return account.fills.some(({ execution }) => execution.clientOrderId === id);
}

/**
 * After what nobody can tell the effect of the position alone says how much may be closed beside what others hold: what was
 * executed since it was looked at would be closed once more, out of theirs.
 */
function hasMoved({ account, accountedBy }: Work, before: string): boolean {
  return account.unexplained !== undefined && accountedBy !== before;
}

/**
 * An order for all that is held would close what somebody opened after a stop took the bot's rest from under it. So it is
 * refused when its way takes long: what can only be closed so is too little to be in a hurry.
 */
function wholeWindowMs(deps: TraderDeps, { madeMs, receiveWindowMs }: Required<Dated>): number {
  return Math.min(receiveWindowMs, deps.nowMs() - madeMs + WHOLE_WAY_MS);
}

/**
 * An adopted work may have been closed half by the process before: its attempts are looked up from the last one on that is open
 * or has filled something. Attempts grow only after the one before is over, and what that one left the open one may still take.
 */
async function firstAttempt(deps: TraderDeps, work: Work): Promise<ExitAttempt> {
  if (!work.adopted) return nextAttempt(deps, work, 0);
  const orders = await lookUps(deps, work).openOrders(work.symbol);
  return nextAttempt(deps, work, Math.max(lastAttempt(deps, work, orders), 0));
}

/** The last attempt that is among these orders or has filled something; -1 without any. */
function lastAttempt(deps: TraderDeps, work: Work, orders: readonly OrderView[]): number {
  const { botUid } = deps.config();
  const filled = work.account.fills.filter(({ purpose }) => purpose === "exit");
  const exits = [...orders, ...filled.map(({ execution }) => execution)];
  const seen = new Set(exits.flatMap(({ clientOrderId: id }) => id ?? []).filter(isOrderId));
  const ids = exitOrderIds({ botUid, symbol: work.symbol, entryId: work.entryId }, seen);
  return ids.findLastIndex((id) => seen.has(id));
}

/**
 * Whether the process before has begun to close what this one took up: it was told why, and this one may not be. Fills are
 * looked for at every look, for they may be shown late; orders once.
 */
export async function isExitBegun(deps: TraderDeps, work: Work): Promise<boolean> {
  if (!work.adopted) return false;
  const { symbol, entryId, exitIds, account } = work;
  const isOwn = ({ clientOrderId: id }: Execution) => id !== undefined && exitIds.has(id);
  if (account.fills.some(({ execution }) => isOwn(execution))) return true;
  if (work.exitsSought) return false;
  const [first = ""] = exitOrderIds({ botUid: deps.config().botUid, symbol, entryId });
  const looks = lookUps(deps, work);
  const found = await looks.findOrder({ symbol, clientOrderId: first });
  const orders = found === undefined ? await looks.openOrders(symbol) : [found];
  work.exitsSought = true;
  return lastAttempt(deps, work, orders) >= 0;
}

/** Whether all exits of a position that is gone are over, and all that they filled is in its account. */
export async function areExitsOver(deps: TraderDeps, work: Work): Promise<boolean> {
  work.exit ??= await firstAttempt(deps, work);
  if (work.exit.state !== "fresh") await lookUp(deps, work, undefined);
  return work.exit.state === "fresh";
}

function nextAttempt(deps: TraderDeps, work: Work, attempt: number): ExitAttempt {
  const { botUid } = deps.config();
  const identity = { botUid, symbol: work.symbol, timeframe: "", reference: work.entryId };
  const id = orderId({ ...identity, leg: "exit", attempt });
  work.exitIds.add(id);
  return {
    attempt,
    id,
    state: work.adopted ? "doubtful" : "fresh",
    // It was sent by a process that ended before this one took the work up, or never.
    sentMs: work.takenUpMs,
  };
}

/**
 * Finds out what became of an attempt. The next one may only close what this one has left, and the position does not tell: it
 * may hold as much of somebody else's. So all that the order filled has to be in the account first.
 */
async function lookUp(deps: TraderDeps, work: Work, held: HeldPosition | undefined): Promise<void> {
  const { exit } = work;
  if (exit === undefined) return;
  const reference = { symbol: work.symbol, clientOrderId: exit.id };
  const found = await lookUps(deps, work).findOrder(reference);
  if (found === undefined) {
    if (deps.monotonicMs() - exit.sentMs < settleWindowMs(work, held, exit)) return;
    await accountForFills(deps, work);
    // An exchange forgets orders and remembers their ids: all that one of these filled is in the account by now.
    work.exit =
      exit.isUsed === true
        ? nextAttempt(deps, work, exit.attempt + 1)
        : { ...exit, state: "fresh" };
    return;
  }
  if (exit.state === "doubtful" && found.status !== "filled") recordFound(deps, work, found);
  if (found.status === "open") {
    await endOpenExit(deps, work, exit);
    work.exit = { ...exit, state: "sent" };
    return;
  }
  if (!isAccountedFor(work, found)) await accountForFills(deps, work);
  if (!isAccountedFor(work, found)) return;
  noteEnd(deps, work, found);
  work.exit = nextAttempt(deps, work, exit.attempt + 1);
}

/** An exit that was taken and found nobody to trade with is followed as one that was refused: nothing has changed by it. */
function noteEnd(deps: TraderDeps, work: Work, found: OrderView): void {
  if (found.filledQuantity.gt(0)) {
    work.exitRetry = AT_ONCE;
    return;
  }
  const wasAccepted = work.exit?.state === "sent";
  if (wasAccepted) recordFound(deps, work, found);
  // One of a process before is no reason to wait.
  if (wasAccepted || (work.exit?.sentMs ?? -Infinity) > work.takenUpMs)
    work.exitRetry = laterRetry(work.exitRetry, deps.monotonicMs());
}

/** A market order fills or ends at once: one that does not is cancelled, so that another can close what it has left. */
async function endOpenExit(deps: TraderDeps, work: Work, { id }: ExitAttempt): Promise<void> {
  const { symbol } = work;
  const now = deps.monotonicMs();
  if (work.exitOpen?.id !== id) work.exitOpen = { id, cancelAtMs: now + OPEN_MAX_MS };
  if (now < work.exitOpen.cancelAtMs) return;
  work.exitOpen = { id, cancelAtMs: now + CANCEL_EVERY_MS };
  const outcome = await deps.exchange.cancel({ symbol, clientOrderId: id });
  const message = `${symbol}: exit ${id} did not fill in a minute and is cancelled (${outcome.kind}); the next one follows`;
  deps.record(eventRecord("exit-open", message, deps.nowMs()));
}

/** What became of an exit whose answer nobody heard. One that filled is told of when the trade is over. */
function recordFound(deps: TraderDeps, work: Work, found: OrderView): void {
  const { symbol, exit } = work;
  if (exit === undefined) return;
  const status = found.status === "open" ? "accepted" : found.status;
  const { exchangeOrderId, side, quantity: units } = found;
  const facts = { clientOrderId: exit.id, exchangeOrderId, symbol, side, quantity: units } as const;
  deps.record(orderRecord({ ...facts, purpose: "exit", status }, deps.nowMs()));
}

/** An attempt that this process never sent has nothing to wait for, in a position that only this bot can have. */
function settleWindowMs(work: Work, held: HeldPosition | undefined, exit: ExitAttempt): number {
  if (held === undefined || !isAlone(work, held)) return SHARED_SETTLE_WINDOW_MS;
  return work.adopted && exit.sentMs === work.takenUpMs ? 0 : SETTLE_WINDOW_MS;
}

/**
 * All that is held is the bot's, as far as position and executions tell. Where an exit has filled that nothing shows yet, the
 * position alone looks like that: what somebody else holds is as much as the bot's was.
 */
function isAlone({ account }: Work, held: HeldPosition): boolean {
  return held.quantity.lte(account.open) && account.others.lte(0);
}

/** Undefined when there is nothing to close, or nothing that the exchange would close. */
function exitOrder(deps: TraderDeps, work: Work, held: HeldPosition): ExitOrder | undefined {
  const { open, others } = work.account;
  const market = deps.exchange.market(work.symbol);
  // What nobody can tell the effect of may have been at the cost of either.
  const mayBeOthers = work.account.unexplained === undefined ? 0 : Decimal.max(others, 0);
  const own = Decimal.max(Decimal.min(open, held.quantity.minus(mayBeOthers)), 0);
  // What one market order may not hold is left to the next attempt.
  const units = quantity(market === undefined ? own : Decimal.min(own, market.maximumQuantity));
  const isKnownDust =
    work.dust?.open.eq(open) === true && deps.monotonicMs() < work.dust.tryAgainMs;
  if (units.isZero() || isKnownDust || work.exit === undefined) return undefined;
  work.dust = undefined;
  const side = work.side === "long" ? "sell" : "buy";
  const order = {
    symbol: work.symbol,
    clientOrderId: work.exit.id,
    side,
    quantity: units,
  } as const;
  if (market === undefined || units.gte(market.minimumQuantity)) return order;
  // The position was looked at before the executions were: what came between only they show.
  if (isAlone(work, held)) return { ...order, wholePosition: true };
  // Judged anew at the next look: either may be older than the other, and nobody else there.
  noteDust(deps, work, { why: "the rest of the position is somebody else's", retryMs: 0 });
  return undefined;
}

async function sendExit(
  deps: TraderDeps,
  work: Work,
  { order, held }: { readonly order: ExitOrder; readonly held: HeldPosition },
): Promise<void> {
  const { exit } = work;
  if (exit === undefined) return;
  const outcome = await deps.exchange.submitExit(order);
  deps.metrics.count("bot_orders_total", { purpose: "exit", outcome: outcome.kind });
  const said = outcome.kind === "accepted" ? { exchangeOrderId: outcome.exchangeOrderId } : outcome;
  deps.record(
    orderRecord({ ...order, ...said, purpose: "exit", status: outcome.kind }, deps.nowMs()),
  );
  deps.log.info("exit-sent", {
    clientOrderId: exit.id,
    reason: work.exitWanted,
    outcome: outcome.kind,
  });
  if (outcome.kind === "refused") {
    noteRefusal(deps, work, { order, outcome });
    return;
  }
  const state = outcome.kind === "accepted" ? "sent" : "doubtful";
  const isUsed = outcome.kind === "unknown" && outcome.idIsTaken === true;
  // By an order of this process that the exchange refused: nothing is on its way that would have to be waited for. Where others
  // have a share it is waited for all the same: another pod may have sent it, and two exits would close what is theirs.
  const isUsedUp = isUsed && isAlone(work, held) && !work.adopted && exit.sentMs === -Infinity;
  work.exit = { ...exit, state, sentMs: isUsedUp ? -Infinity : deps.monotonicMs(), isUsed };
}

function noteRefusal(
  deps: TraderDeps,
  work: Work,
  said: { readonly order: ExitOrder; readonly outcome: Extract<Outcome, { kind: "refused" }> },
): void {
  const { exit } = work;
  if (exit === undefined) return;
  const { final, message } = said.outcome;
  // Not the first of all: a rate limit may have come before it.
  const isFirst = final && !work.exitRetry.wasFinal;
  work.exitRetry = laterRetry(work.exitRetry, deps.monotonicMs());
  if (final) work.exitRetry = { ...work.exitRetry, wasFinal: true };
  // Nothing became an order. Whether the id can be used again Bybit does not say (of cancelled and filled orders it cannot:
  // https://bybit-exchange.github.io/docs/fix-api/create-order); if not, it answers that it is taken, and the next one follows.
  // That holds for this answer only: the same order may have been sent before, with an outcome that nobody knows.
  const wasSent = work.adopted || exit.sentMs > work.takenUpMs;
  work.exit = { ...exit, state: "doubtful", sentMs: wasSent ? exit.sentMs : -Infinity };
  // Dust is no error: it is tried on and on, and would disable a bot that trades other symbols. An exit is tried on and on as
  // well: an hour in which nobody may trade is one error, and what is about traffic, clock or ban none of the bot's.
  if (said.order.wholePosition !== true) {
    if (isFirst) deps.account.noteError();
  } else if (final) noteDust(deps, work, { why: message, retryMs: DUST_RETRY_MS });
}

/** Named once, and left to its stop, its target or its owner; but what refuses it may end, and somebody else's share too. */
function noteDust(
  deps: TraderDeps,
  work: Work,
  { why, retryMs }: { readonly why: string; readonly retryMs: number },
): void {
  const { open, entryPrice } = work.account;
  const isNegligible = isDust(deps.exchange.market(work.symbol), entryPrice, open);
  const counts = isNegligible ? "; the bot counts as flat without it" : "";
  const message = `${work.symbol}: ${text(open)} is less than the exchange's minimum and cannot be closed by an order (${why}); close it at the exchange${counts}`;
  work.dust = { open, message, isNegligible, tryAgainMs: deps.monotonicMs() + retryMs };
  if (work.dustTold === message) return;
  work.dustTold = message;
  deps.log.warn("dust", { symbol: work.symbol, open: text(open) });
  deps.record(eventRecord("dust", message, deps.nowMs()));
}

function laterRetry(before: Work["exitRetry"], nowMs: number): Work["exitRetry"] {
  const pauseMs = Math.min(RETRY_MIN_MS * 2 ** Math.min(before.refusals, 10), RETRY_MAX_MS);
  return { ...before, refusals: before.refusals + 1, notBeforeMs: nowMs + pauseMs };
}
