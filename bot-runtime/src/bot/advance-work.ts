import type { PositionView } from "../exchange/exchange.ts";
import { text, ZERO_QUANTITY } from "../money.ts";
import { hasShare } from "../orders/trade-account.ts";
import { accountForFills, closeRest, HIDDEN_MAX_MS } from "./account-for-fills.ts";
import { areExitsOver, exitPosition, isExitBegun } from "./exit-position.ts";
import { lookUps } from "./look-ups.ts";
import { placeKnownStop, protectPosition } from "./protect-position.ts";
import { eventRecord } from "./records.ts";
import { seePosition } from "./see-position.ts";
import { settleEntry } from "./settle-entry.ts";
import { reasonToClose } from "./standing-orders.ts";
import type { TraderDeps } from "./trader-deps.ts";
import { heldOf, type Work } from "./work.ts";

/** Funding moves no position: it is found by asking. The day's loss counts it, so it may not be long in coming. */
const FUNDING_LOOK_MS = 60_000;
/** The exchange has just refused a stop for it, and most likely will again. */
const PROTECT_UNCLOSED_EVERY_MS = 5_000;
/** An exit that was taken and has not ended the position after this leaves it open for as long as it likes. */
const FILLS_IN_MS = 1_000;
/** A position may be gone this long before the executions say why. */
const VANISHED_MS = 20_000;

/**
 * Looks at the exchange and brings the work one step further: settles its entry, accounts for what was filled, protects what
 * is held, closes what shall be closed. True once nothing of it is left.
 */
export async function advanceWork(deps: TraderDeps, work: Work): Promise<boolean> {
  const before = work.accountedBy;
  const view = await lookUps(deps, work).position(work.symbol);
  seePosition(deps, work, view.held);
  try {
    return await advanceSeen(deps, work, { view, before });
  } catch (error) {
    await placeKnownStop(deps, work);
    throw error;
  }
}

interface SeenWork {
  readonly view: PositionView;
  /** What it was accounted by when that was asked for. */
  readonly before: string;
}

async function advanceSeen(
  deps: TraderDeps,
  work: Work,
  { view, before }: SeenWork,
): Promise<boolean> {
  if (work.entry !== "over") await settleEntry(deps, work);
  if (mayHaveMore(deps, work, view)) await accountForFills(deps, work);
  noteVanished(deps, work);
  if (await isGoneForGood(deps, work)) closeRest(deps, work);
  if (work.account.open.isZero()) return isEnded(deps, work);
  if (work.vanishedMs !== undefined) return false;
  await holdPosition(deps, work, before);
  return false;
}

/** Nothing of it is open, if what closed it did. */
function isEnded(deps: TraderDeps, work: Work): boolean {
  if (work.entry !== "over") return false;
  const { isDoubted } = work;
  const sinceMs = work.closedSeenMs ?? Infinity;
  work.contradiction =
    isDoubted && deps.monotonicMs() - sinceMs >= VANISHED_MS
      ? `${work.symbol}: somebody else's order seems to have closed the position of order ${work.entryId}, but what is held now says otherwise; it is looked for`
      : undefined;
  return !isDoubted;
}

/** Executions are asked for when the position says something else than the account, and now and then for funding. */
function mayHaveMore(deps: TraderDeps, work: Work, { held }: PositionView): boolean {
  if (work.vanishedMs !== undefined || work.isDoubted) return true;
  const heldQuantity = held?.side === work.side ? held.quantity : ZERO_QUANTITY;
  if (!heldQuantity.eq(work.account.open)) return true;
  return !heldQuantity.isZero() && deps.monotonicMs() - work.accountedMs >= FUNDING_LOOK_MS;
}

/**
 * A position that is gone although no execution ended it: nobody knows what became of the money. One that comes after it is the
 * bot's only when it has room for it beside what others have opened since.
 */
function noteVanished(deps: TraderDeps, work: Work): void {
  const { open, others, unexplained } = work.account;
  const isSure = work.vanishedMs === undefined || unexplained !== undefined || others.lte(0);
  const least = isSure ? ZERO_QUANTITY : open.plus(others);
  const held = heldOf(work)?.quantity;
  const isThere = held?.gte(least) === true && hasShare(work.account, held);
  if (open.isZero() || isThere) {
    if (work.vanishedMs !== undefined) work.contradiction = undefined;
    work.vanishedMs = undefined;
    return;
  }
  work.vanishedMs ??= deps.monotonicMs();
  if (deps.monotonicMs() - work.vanishedMs < VANISHED_MS) return;
  work.contradiction = `${work.symbol}: the position of order ${work.entryId} (${text(open)}) is gone, but no execution of the account tells how; it is looked for on and on`;
}

/**
 * Beside what nobody can tell the effect of, the account may say for ever that something is open. Without such a thing
 * executions are missing: they are waited for.
 */
async function isGoneForGood(deps: TraderDeps, work: Work): Promise<boolean> {
  const { vanishedMs = Infinity, account, entry, held } = work;
  if (account.unexplained === undefined || entry !== "over") return false;
  if (held !== undefined && held.side !== work.side) return false;
  if (deps.monotonicMs() - vanishedMs < HIDDEN_MAX_MS) return false;
  return areExitsOver(deps, work);
}

/** What is held is protected, or closed when it shall be, or cannot be protected. */
async function holdPosition(deps: TraderDeps, work: Work, before: string): Promise<void> {
  wantExitByState(deps, work);
  const held = heldOf(work);
  // Executions may be known before the position shows them, and the other way round.
  if (held === undefined) return;
  if (work.exitWanted === undefined) await protectPosition(deps, work, held);
  if (work.exitWanted === undefined) await wantBegunExit(deps, work);
  const stillHeld = heldOf(work);
  if (work.exitWanted === undefined || stillHeld === undefined) return;
  await exitPosition(deps, work, { held: stillHeld, before });
  await protectUnclosed(deps, work);
}

/** A signal is heard by one process only: what that one began to close, and died, is closed to its end. */
async function wantBegunExit(deps: TraderDeps, work: Work): Promise<void> {
  if (!(await isExitBegun(deps, work))) return;
  work.exitWanted = "signal";
  const message = `${work.symbol}: closing what is left of the position, as begun before the bot was restarted`;
  deps.record(eventRecord("closing", message, deps.nowMs()));
}

/** What no order closes, now or ever, needs its stop all the more: the price that it was refused at may have come back. */
async function protectUnclosed(deps: TraderDeps, work: Work): Promise<void> {
  const held = heldOf(work);
  const now = deps.monotonicMs();
  const isUnclosed =
    work.dust !== undefined || work.exitRetry.refusals > 0 || isUnanswered(work, now);
  if (!isUnclosed || held === undefined || held.stopLoss !== undefined) return;
  if (now < work.protection.unclosedNotBeforeMs) return;
  work.protection.unclosedNotBeforeMs = now + PROTECT_UNCLOSED_EVERY_MS;
  await protectPosition(deps, work, held);
}

/** An exit of which nobody knows whether it will come, or that has not filled at once as a market order does. */
function isUnanswered({ exit }: Work, nowMs: number): boolean {
  if (exit === undefined || exit.state === "fresh") return false;
  return exit.state === "doubtful" || nowMs - exit.sentMs >= FILLS_IN_MS;
}

/** States, halts, requests and a delisting close a position; a signal's exit comes from the strategy. */
export function wantExitByState(deps: TraderDeps, work: Work): void {
  if (work.exitWanted !== undefined || work.account.open.isZero()) return;
  const reason = reasonToClose(deps, work);
  if (reason === undefined) return;
  work.exitWanted = reason;
  const message = `${work.symbol}: closing the position (${reason})`;
  deps.record(eventRecord("closing", message, deps.nowMs()));
}
