import {
  type Dated,
  type Execution,
  EXECUTIONS_KEPT_MS,
  type OrderView,
  RECEIVE_WINDOW_MS,
} from "../exchange/exchange.ts";
import { type Quantity, quantity, text, ZERO_QUANTITY } from "../money.ts";
import { exitOrderIds, isOrderId } from "../orders/order-id.ts";
import {
  accountForTrade,
  restId,
  type TradeFill,
  withRestClosed,
} from "../orders/trade-account.ts";
import { awaitsFunding } from "./late-funding.ts";
import { isNaked, lookUps } from "./look-ups.ts";
import {
  eventRecord,
  fillRecord,
  fundingRecord,
  leftBehindRecord,
  orderRecord,
  tradeRecord,
} from "./records.ts";
import { reasonToClose } from "./standing-orders.ts";
import type { TraderDeps } from "./trader-deps.ts";
import { isLeftBehind, type Work } from "./work.ts";

/**
 * An exchange may show executions so long after they happened, funding too. What is older is read once by each process: else an
 * old position would take longer to read than its answer is good for.
 */
const SHOWN_LATE_MS = 86_400_000;

/** Exchanges have shown orders and executions after as much as ten minutes (github.com/Mike-Mercer/Binance-REST-Test), and no later. */
export const HIDDEN_MAX_MS = 600_000;

/** Of the receive window, which runs from the question on, at least this much is left for the order's own way. */
const WAY_MS = 2_000;
const LATE_MS = RECEIVE_WINDOW_MS - WAY_MS;
/** Answers that took so long that too little was left, in a row, before a longer window is used. */
const LATE_ANSWERS_MAX = 2;
/** For an exchange that takes that long; answers of 8 s (the client's limit) and the way of the order fit in. */
const LATE_RECEIVE_WINDOW_MS = 12_000;

/**
 * Accounts for the work from the exchange's executions and tells the journal what is new. @throws Error when a fill of an order of
 * its own cannot be read, whatever its type.
 */
export async function accountForFills(deps: TraderDeps, work: Work): Promise<void> {
  const { symbol } = work;
  const [askedMs, askedWallMs, askedExchangeMs] = [
    deps.monotonicMs(),
    deps.nowMs(),
    exchangeTime(deps),
  ];
  const sinceMs = Math.max(work.sinceMs, work.settled.untilMs);
  const executions = await lookUps(deps, work).executions({ symbol, sinceMs });
  assertOwnAreReadable(deps, work, executions);
  settleAccount(deps, work, { executions, askedMs: askedExchangeMs });
  work.accountedMs = askedMs;
  work.accountedWallMs = askedWallMs;
  if (work.account.open.gt(0)) work.closedSeenMs = undefined;
  else work.closedSeenMs ??= deps.monotonicMs();
  const isNew = (executionId: string) => {
    const known = work.recordedExecutions.has(executionId);
    work.recordedExecutions.add(executionId);
    return !known;
  };
  const doubtful = new Set(work.account.fills.filter((fill) => isDoubtful(deps, work, fill)));
  work.isDoubted = doubtful.size > 0;
  for (const fill of work.account.fills) {
    if (doubtful.has(fill) || !isNew(fill.execution.executionId)) continue;
    deps.record(fillRecord(work, fill));
    deps.metrics.count("bot_fills_total", { purpose: fill.purpose });
  }
  for (const funding of work.account.fundings) {
    if (isNew(funding.execution.executionId)) deps.record(fundingRecord(work, funding));
  }
  for (const currency of work.account.unvaluedFees) {
    if (!isNew(`fee in ${currency}`)) continue;
    const message = `${symbol}: fees in ${currency} are in the fills, not in the trade's result`;
    deps.record(eventRecord("fee-not-valued", message, deps.nowMs()));
  }
  const unexplained = work.account.unexplained?.unexplained;
  if (unexplained !== undefined && isNew(unexplained)) {
    deps.log.warn("unexplained-execution", { symbol, what: unexplained });
    const message = `${symbol}: ${unexplained}: what it did to the position cannot be told`;
    deps.record(eventRecord("unexplained-execution", message, deps.nowMs()));
  }
  recordTrade(deps, work);
}

/**
 * Somebody else's order seems to have closed some of the trade, and the position says otherwise: an exit of the trade's own, which the
 * exchange does not show yet, may have closed it before, and what is there now is that other's alone. Not told to the journal, which
 * forgets no fill, and no end of the trade, until the position agrees or no exit can be shown any more.
 */
function isDoubtful(
  deps: TraderDeps,
  work: Work,
  { execution: { cause, clientOrderId = "", atMs }, purpose }: TradeFill,
): boolean {
  if (purpose !== "exit" || cause !== "order" || work.exitIds.has(clientOrderId)) return false;
  if (isAllThatIsHeld(work)) return false;
  const now = exchangeTime(deps);
  return now === undefined || now - atMs < HIDDEN_MAX_MS;
}

/** Beside what nobody can tell the effect of, nothing agrees. */
function isAllThatIsHeld({ held, side, account: { open, others, unexplained } }: Work): boolean {
  if (unexplained !== undefined) return true;
  const units = held?.quantity ?? ZERO_QUANTITY;
  return open.plus(others).eq(held === undefined || held.side === side ? units : units.negated());
}

/** Those of others' orders, another bot's among them, are named and hold nothing up. */
function assertOwnAreReadable(
  deps: TraderDeps,
  { symbol, entryId, exitIds }: Work,
  executions: readonly Execution[],
): void {
  const unreadable = executions.filter(({ isUnreadable }) => isUnreadable);
  if (unreadable.length === 0) return;
  const seen = new Set(unreadable.flatMap(({ clientOrderId: id }) => id ?? []));
  const { botUid } = deps.config();
  const own = new Set([entryId, ...exitIds, ...exitOrderIds({ botUid, symbol, entryId }, seen)]);
  const found = unreadable.find(({ clientOrderId: id = "" }) => own.has(id));
  if (found === undefined) return;
  throw new Error(`${symbol}: execution ${found.executionId} of the bot's order cannot be read`);
}

/** The exchange's time, not later than it is, in whole ms, for it takes no others; undefined while it is not known. */
export function exchangeTime({ exchange, nowMs }: TraderDeps): number | undefined {
  const clock = exchange.clock();
  return clock && Math.floor(nowMs() - clock.skewMs - clock.uncertaintyMs);
}

/**
 * Accounts for what was executed since the time until which all is settled. Executions never change: of those that are old
 * enough to have been shown only the account is kept, so a work holds its own fills and fundings, and nobody else's.
 */
function settleAccount(
  deps: TraderDeps,
  work: Work,
  answer: { readonly executions: readonly Execution[]; readonly askedMs: number | undefined },
): void {
  const before = work.settled;
  const asked = answer.executions.filter(({ atMs }) => atMs >= before.untilMs);
  const executions = [...forgottenEntry(deps, work, { ...answer, executions: asked }), ...asked];
  noteExits(deps, work, executions);
  const untilMs = Math.max((answer.askedMs ?? -Infinity) - SHOWN_LATE_MS, before.untilMs);
  const older = executions.filter(({ atMs }) => atMs < untilMs);
  const account = accountForTrade(work, older, before.account);
  // What has shown no fill of the entry may have to show all of it: the account of another key, which is replaced.
  if (account.entered.gt(0)) work.settled = { untilMs, account };
  const newer = executions.filter(({ atMs }) => atMs >= work.settled.untilMs);
  const told = accountForTrade(work, newer, work.settled.account);
  work.account = work.restClosed ? withRestClosed(work, told) : told;
  work.accountedBy = `${asked.at(-1)?.executionId} ${text(told.open)} ${text(told.others)}`;
}

/**
 * Ends a trade whose position is gone for good, beside what nobody can tell the effect of: the journal hears of the result as far
 * as it is known, and the owner that he should look at it. Executions that come after all take the rest's place.
 */
export function closeRest(deps: TraderDeps, work: Work): void {
  const { symbol, entryId, account } = work;
  work.restClosed = true;
  work.account = withRestClosed(work, account);
  work.closedSeenMs ??= deps.monotonicMs();
  work.contradiction = undefined;
  work.recordedExecutions.add(restId(work));
  const { lastExit } = work.account;
  const message = `${symbol}: what closed the rest of order ${entryId} (${text(account.open)}) cannot be told: the position is gone, and ${account.unexplained?.unexplained}; it counts as closed at ${lastExit && text(lastExit.price)}, compare the trade with the exchange`;
  deps.log.warn("rest-closed", { symbol, open: text(account.open) });
  deps.record(eventRecord("rest-closed", message, deps.nowMs()));
  recordTrade(deps, work);
}

/**
 * The entry as the journal knows it, where the exchange has forgotten it. Its fundings of before are forgotten as well: they are
 * in the journal one by one, and not in the trade's result any more.
 */
function forgottenEntry(
  deps: TraderDeps,
  { symbol, entryId, opened, settled, recordedExecutions }: Work,
  answer: { readonly executions: readonly Execution[]; readonly askedMs: number | undefined },
): readonly Execution[] {
  const { executions, askedMs = -Infinity } = answer;
  if (opened === undefined || opened.atMs >= askedMs - EXECUTIONS_KEPT_MS) return [];
  const isKnown = settled.account.entered.gt(0);
  if (isKnown || executions.some(({ clientOrderId }) => clientOrderId === entryId)) return [];
  // The journal has its fills.
  recordedExecutions.add(opened.executionId);
  const message = `${symbol}: the exchange has forgotten what opened the position more than two years ago; it is managed by what the journal knows, and its result lacks the funding of before`;
  deps.record(eventRecord("history-forgotten", message, deps.nowMs()));
  return [opened];
}

/** An exit in the bot's form that this process did not send is another process's. */
function noteExits(deps: TraderDeps, work: Work, executions: readonly Execution[]): void {
  const { symbol, entryId } = work;
  const seen = exitsOfUnknown(work, executions);
  if (work.accountedMs !== -Infinity && seen.size === 0) return;
  const { botUid } = deps.config();
  for (const id of exitOrderIds({ botUid, symbol, entryId }, seen)) work.exitIds.add(id);
}

/** Ids in the bot's form that reduced the position since the entry, and are none of the exits that are known. */
function exitsOfUnknown(
  { entryId, side, exitIds, settled }: Work,
  executions: readonly Execution[],
): ReadonlySet<string> {
  const openedMs =
    settled.account.openedMs ??
    executions.find(({ clientOrderId }) => clientOrderId === entryId)?.atMs;
  if (openedMs === undefined) return new Set();
  const exitSide = side === "long" ? "sell" : "buy";
  const ids = executions.flatMap(({ clientOrderId: id, side: executed, atMs }) =>
    id !== undefined && executed === exitSide && atMs >= openedMs ? [id] : [],
  );
  return new Set(ids.filter((id) => !exitIds.has(id) && isOrderId(id)));
}

/**
 * To be asked before anything is done to a position: one of the same size may be somebody else's by now, and only the
 * executions say so. Gives what the request is to be signed with, or undefined when the work holds nothing more, or the answer
 * came so late that it says too little of now.
 */
export async function stillHeldAt(
  deps: TraderDeps,
  work: Work,
): Promise<Required<Dated> | undefined> {
  const isOld = () => ageMs(deps, work) > LATE_MS;
  if (work.accountedMs < work.lookedMs || isOld()) await accountForFills(deps, work);
  work.lateAnswers = isOld() ? work.lateAnswers + 1 : 0;
  if (work.account.open.isZero()) return undefined;
  const receiveWindowMs = isOld() ? lateWindowMs(deps, work) : RECEIVE_WINDOW_MS;
  noteWaiting(deps, work, receiveWindowMs === undefined);
  if (receiveWindowMs === undefined) return undefined;
  return { madeMs: work.accountedWallMs, receiveWindowMs };
}

/** Tells, once each time, that what shall be closed is not while the exchange goes on to answer too late. */
function noteWaiting(deps: TraderDeps, work: Work, isTooLate: boolean): void {
  if (!isTooLate) work.exitWaits = undefined;
  const isWaiting = isTooLate && work.lateAnswers > LATE_ANSWERS_MAX;
  if (!isWaiting || work.exitWanted === undefined || work.exitWaits !== undefined) return;
  work.exitWaits = `${work.symbol}: the position is to be closed (${work.exitWanted}), but the exchange takes more than ${LATE_MS / 1_000} s to say whose it is, and an order that goes by so old an answer could close what somebody has opened since; it is sent as soon as an answer comes in time`;
  deps.log.warn("exit-waits", { symbol: work.symbol, reason: work.exitWanted });
  deps.record(eventRecord("exit-waits", work.exitWaits, deps.nowMs()));
}

/**
 * An exchange may always answer so late: what has no stop, or is ordered to be closed, must be closed all the same. Anything
 * else has its stop and waits: in so long a time the owner may have opened something that the order would meet. While the lease
 * lasts no other pod does, and the exchange refuses the order when the lease has ended. What has no stop waits for nobody.
 */
function lateWindowMs(deps: TraderDeps, work: Work): number | undefined {
  const leftMs = LATE_RECEIVE_WINDOW_MS - ageMs(deps, work);
  if (leftMs < WAY_MS || work.lateAnswers <= LATE_ANSWERS_MAX) return undefined;
  const isOrdered = reasonToClose(deps, work) !== undefined;
  const isSafe = isOrdered && deps.journal.leaseRemainingMs() >= leftMs;
  if (!isNaked(work) && !isSafe) return undefined;
  deps.journal.keepLeaseFor(leftMs);
  return LATE_RECEIVE_WINDOW_MS;
}

const ageMs = ({ monotonicMs }: TraderDeps, { accountedMs }: Work) => monotonicMs() - accountedMs;

/**
 * Whether every unit that an order of the work shows as filled is in its account: an order may show its fills before the
 * executions do, and what is left of the work is only known from them.
 */
export function isAccountedFor({ account }: Work, order: OrderView): boolean {
  const known = account.fills
    .filter(({ execution }) => execution.clientOrderId === order.clientOrderId)
    .reduce((sum, { execution }) => quantity(sum.plus(execution.quantity)), ZERO_QUANTITY);
  return known.gte(order.filledQuantity);
}

/** Tells the journal of the trade as it stands, unless it knows. */
export function recordTrade(deps: Omit<TraderDeps, "looks">, work: Work): void {
  // Until then it is open: the rest of the entry may still fill, and funding may still come.
  const isFinal = work.entry === "over" && !work.isDoubted && !awaitsFunding(deps, work);
  // Nobody takes the rest up: the next process may trade elsewhere, where its entry is not known, or there may be none.
  const isGivenUp = isLeftBehind(work) && deps.config().state !== "Running";
  const record = isGivenUp ? leftBehindRecord(work) : tradeRecord(work, isFinal);
  if (record === undefined) return;
  const told = JSON.stringify(record);
  if (told === work.recordedTrade) return;
  work.recordedTrade = told;
  deps.record(record);
  work.toldClosed = record.trade.closedAt !== null;
  if (!work.toldClosed) return;
  recordExits(deps, work);
  deps.metrics.count("bot_trades_total", { reason: record.trade.reason ?? "unknown" });
  deps.log.info("trade-closed", { trade: record.trade.id, pnl: record.trade.pnl });
}

/**
 * The last word about each exit that filled, also of one that another process sent and did not live to tell of: of that one
 * only the fills are left.
 */
function recordExits(
  deps: Pick<TraderDeps, "record" | "nowMs">,
  { symbol, side, account }: Work,
): void {
  const filled = new Map<string, Quantity>();
  for (const { execution, purpose } of account.fills) {
    const id = execution.clientOrderId;
    if (purpose !== "exit" || id === undefined || !isOrderId(id)) continue;
    filled.set(id, quantity((filled.get(id) ?? ZERO_QUANTITY).plus(execution.quantity)));
  }
  const exitSide = side === "long" ? "sell" : "buy";
  for (const [clientOrderId, units] of filled) {
    const order = { clientOrderId, symbol, purpose: "exit", side: exitSide } as const;
    deps.record(orderRecord({ ...order, quantity: units, status: "filled" }, deps.nowMs()));
  }
}
