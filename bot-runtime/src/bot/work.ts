import type { Intent, Trade } from "@tradingbots/crds";
import type { Execution, HeldPosition, PositionSide } from "../exchange/exchange.ts";
import { type Amount, amount, price, type Quantity, quantity, ZERO_AMOUNT } from "../money.ts";
import { EMPTY_ACCOUNT, type TradeAccount } from "../orders/trade-account.ts";

/** Why a position is left by an order of the bot. */
export type ExitReason =
  | "signal"
  | "manual"
  | "stopped"
  | "retired"
  | "flatten"
  | "unprotected"
  | "delisting";

/**
 * An entry and what grows out of it, until nothing of it is left at the exchange. Everything here can be found again from the
 * ids, the exchange and the journal. Times are of the monotonic clock, ms, unless they say otherwise: a step of the wall
 * clock must neither end a wait nor prolong it.
 */
export interface Work {
  /** Client order id of the entry; also the trade's id. */
  readonly entryId: string;
  readonly symbol: string;
  readonly side: PositionSide;
  /** No execution of it can be older; wall clock of the exchange, ms. */
  sinceMs: number;
  /** Its entry as the journal tells it, for an exchange that has forgotten it; undefined while the journal knows no fill. */
  readonly opened: Execution | undefined;
  /** When this process sent the entry or learnt of it: the settle window runs from here. */
  readonly takenUpMs: number;
  /** Whether another process may have sent exits already. */
  readonly adopted: boolean;
  /** Somebody asked this process for it: no candle led to it. */
  readonly byRequest: boolean;
  /** What its entry was to open, and when that was decided (wall clock, ms); undefined where only fills are known. */
  readonly intended: { readonly units: Quantity; readonly atMs: number } | undefined;
  /** The journal knows fills of it, so the account that it was traded on knows its order. */
  readonly filled: boolean;
  /** False when its result may be among those that the journal has counted already. */
  counts: boolean;
  /** What of its result this process has counted already, when its rest counted as closed. */
  counted: Amount;
  /** The entry order: not known to the exchange yet, accepted and may still fill, or will never fill again. */
  entry: "unknown" | "open" | "over";
  entryCancelledMs: number;
  /** Nothing speaks for its entry any more: it bars no other. It may be shown all the same, and is looked for now and then. */
  lost: boolean;
  /** What journal and exchange contradict each other in, as a sentence; the work is not over while it stands. */
  contradiction: string | undefined;
  account: TradeAccount;
  /** Another one after each answer that had more in it, whosever executions those were. */
  accountedBy: string;
  /** As it stood before a time of the exchange, ms, from which on executions are asked for: what is older is not read again. */
  settled: { readonly untilMs: number; readonly account: TradeAccount };
  /** When the question was asked that the account is the answer to. */
  accountedMs: number;
  /** The same by the wall clock of this machine. */
  accountedWallMs: number;
  /** Answers in a row that came too late to be acted on. */
  lateAnswers: number;
  /** Why what is wanted of it is not sent although it is open, as a sentence. */
  exitWaits: string | undefined;
  /** Somebody else's order seems to have closed some of it, and the position says otherwise (account-for-fills.ts). */
  isDoubted: boolean;
  /** When nothing of it was first seen to be open any more. */
  closedSeenMs: number | undefined;
  /** The journal has been told that the trade is closed, with its result. */
  toldClosed: boolean;
  /** The position as the exchange showed it last, and when. */
  held: HeldPosition | undefined;
  lookedMs: number;
  /** Since when the position is gone although no execution says what ended it. */
  vanishedMs: number | undefined;
  /** It is gone for good: what its executions do not explain counts as closed. */
  restClosed: boolean;
  exit: ExitAttempt | undefined;
  /** Ids of all exits that were sent, or may have been. */
  readonly exitIds: Set<string>;
  /** The attempt that the exchange shows as open, and when it is to be cancelled (again). */
  exitOpen: { readonly id: string; readonly cancelAtMs: number } | undefined;
  /** After refused exits nothing is sent before `notBeforeMs`; `wasFinal`: one of them was refused for good. */
  exitRetry: {
    readonly refusals: number;
    readonly wasFinal: boolean;
    readonly notBeforeMs: number;
  };
  exitWanted: ExitReason | undefined;
  /** The exchange has been asked for exits of the process that this one took the work up from. */
  exitsSought: boolean;
  /** What the strategy says at the newest close has been heard for it, should the process before have died with that. */
  closeHeard: boolean;
  /** What somebody asked for: that what is left of the entry be cancelled, or also that what is held be closed. */
  requested: "cancel" | "close" | undefined;
  /** So little that the exchange lets nobody close it: while this much is open, nothing is sent before `tryAgainMs`. */
  dust: Dust | undefined;
  /** Last sentence about dust that was recorded. */
  dustTold: string | undefined;
  readonly protection: Protection;
  /** Another work of the symbol has something open in the same direction: a lost entry was found beside a later one. */
  isBesideOpen: boolean;
  readonly recordedExecutions: Set<string>;
  /** Last trade record, as text: the same one is not written twice. */
  recordedTrade: string | undefined;
}

interface Dust {
  readonly open: Quantity;
  readonly message: string;
  readonly tryAgainMs: number;
  /** Worth less than the exchange would open a position for: it holds nobody up. */
  readonly isNegligible: boolean;
}

export interface ExitAttempt {
  readonly attempt: number;
  readonly id: string;
  /** `fresh` was never sent; `doubtful` may have been; `sent` was accepted. */
  readonly state: "fresh" | "doubtful" | "sent";
  readonly sentMs: number;
  /** The exchange has said that it had an order of this id. */
  readonly isUsed?: boolean;
}

interface Protection {
  /** Levels that the exchange refused, or did not come to show: not asked for again before `notBeforeMs`. */
  refusedFor: string | undefined;
  notBeforeMs: number;
  /** How often in a row the exchange has said no to them. */
  refusals: number;
  /** Attempts in a row after which the position still had no stop. */
  failures: number;
  /** Since when it has no stop and the exchange's rules for one are not known. */
  withoutRulesMs: number | undefined;
  /** What exits do not close, and has no stop, is not given one again before then. */
  unclosedNotBeforeMs: number;
  /** The same of a stop that is placed before all is known that others wait for. */
  aloneNotBeforeMs: number;
}

/** This machine's clock may be ahead of the exchange's. Ids say what belongs to a work: more executions cost only their reading. */
const CLOCK_MARGIN_MS = 600_000;

/** Nothing of a work's executions has been read. */
export const UNREAD: Work["settled"] = { untilMs: -Infinity, account: EMPTY_ACCOUNT };

/** How a work came to be known, and when (monotonic clock, ms). */
export interface TakenUp {
  readonly adopted: boolean;
  readonly byRequest?: boolean;
  readonly counts?: boolean;
  readonly takenUpMs: number;
}

export function workFromIntent(intent: Intent, taken: TakenUp): Work {
  const side = intent.side === "buy" ? "long" : "short";
  const atMs = Date.parse(intent.at);
  const { clientOrderId: entryId, symbol } = intent;
  const intended = { units: quantity(intent.quantity), atMs };
  const sinceMs = atMs - CLOCK_MARGIN_MS;
  return newWork({ entryId, symbol, side, sinceMs, filled: false, intended }, taken);
}

export function workFromTrade(trade: Trade, taken: TakenUp): Work {
  const sinceMs = Date.parse(trade.openedAt) - CLOCK_MARGIN_MS;
  const { id: entryId, symbol, side } = trade;
  return newWork({ entryId, symbol, side, sinceMs, filled: true, opened: opened(trade) }, taken);
}

/** All that was entered as one fill, at its mean price. */
function opened(trade: Trade): Execution {
  return {
    executionId: trade.id,
    clientOrderId: trade.id,
    side: trade.side === "long" ? "buy" : "sell",
    price: price(trade.entryPrice),
    quantity: quantity(trade.quantity),
    fee: amount(trade.fees),
    feeCurrency: trade.symbol.replace(/^.*:/, ""),
    cause: "order",
    atMs: Date.parse(trade.openedAt),
  };
}

/** Of an entry that only the exchange knows. */
export function workFromOrphan(
  orphan: Pick<Work, "entryId" | "symbol" | "side"> & { readonly openedMs: number },
  taken: TakenUp,
): Work {
  const { entryId, symbol, side, openedMs } = orphan;
  return newWork(
    { entryId, symbol, side, sinceMs: openedMs - CLOCK_MARGIN_MS, filled: true },
    taken,
  );
}

type Origin = Pick<Work, "entryId" | "symbol" | "side" | "sinceMs" | "filled"> &
  Partial<Pick<Work, "opened" | "intended">>;

function newWork(origin: Origin, taken: TakenUp): Work {
  const { adopted, byRequest = false, counts = true, takenUpMs } = taken;
  return {
    ...origin,
    opened: origin.opened,
    intended: origin.intended,
    adopted,
    byRequest,
    counts,
    counted: ZERO_AMOUNT,
    takenUpMs,
    entry: "unknown",
    entryCancelledMs: -Infinity,
    lost: false,
    contradiction: undefined,
    account: EMPTY_ACCOUNT,
    accountedBy: "",
    settled: UNREAD,
    accountedMs: -Infinity,
    accountedWallMs: -Infinity,
    lateAnswers: 0,
    exitWaits: undefined,
    isDoubted: false,
    closedSeenMs: undefined,
    toldClosed: false,
    held: undefined,
    lookedMs: takenUpMs,
    vanishedMs: undefined,
    restClosed: false,
    exit: undefined,
    exitOpen: undefined,
    exitIds: new Set<string>(),
    exitRetry: { refusals: 0, wasFinal: false, notBeforeMs: -Infinity },
    exitWanted: undefined,
    exitsSought: false,
    closeHeard: !adopted,
    requested: undefined,
    dust: undefined,
    dustTold: undefined,
    protection: {
      refusedFor: undefined,
      notBeforeMs: -Infinity,
      refusals: 0,
      failures: 0,
      withoutRulesMs: undefined,
      unclosedNotBeforeMs: -Infinity,
      aloneNotBeforeMs: -Infinity,
    },
    isBesideOpen: false,
    recordedExecutions: new Set<string>(),
    recordedTrade: undefined,
  };
}

/** Nothing is left of the work but dust that nobody can close and that is not worth waiting for. */
export function isLeftBehind({ dust, entry, contradiction, account }: Work): boolean {
  if (dust?.isNegligible !== true || entry !== "over" || contradiction !== undefined) return false;
  return dust.open.eq(account.open);
}

/** Nothing of the bot's own is under way, and its stop is at the exchange. */
export function isSettled(work: Work): boolean {
  const { entry, exit, exitWanted, contradiction, vanishedMs } = work;
  if (entry !== "over" || exit !== undefined || exitWanted !== undefined) return false;
  return (
    contradiction === undefined && vanishedMs === undefined && heldOf(work)?.stopLoss !== undefined
  );
}

/** What is held of the work, as last seen; undefined also for a position in the other direction. */
export function heldOf({ held, side }: Pick<Work, "held" | "side">): HeldPosition | undefined {
  return held?.side === side ? held : undefined;
}
