import type { Intent, Trade } from "@tradingbots/crds";
import type { HeldPosition, PositionSide } from "../exchange/exchange.ts";
import { accountForTrade, type TradeAccount } from "../orders/trade-account.ts";

/** Why a position is left by an order of the bot. */
type ExitReason = "signal" | "stopped" | "retired" | "flatten" | "unprotected";

/**
 * An entry and what grows out of it, until nothing of it is left at the exchange. Everything here can be found again from the
 * ids, the exchange and the journal.
 */
export interface Work {
  /** Client order id of the entry; also the trade's id. */
  readonly entryId: string;
  readonly symbol: string;
  readonly side: PositionSide;
  /** No execution of it can be older by the exchange's clock, ms. */
  sinceMs: number;
  /** When the entry was sent at the latest: the settle window runs from here. */
  readonly sentMs: number;
  /** Whether another process may have sent exits already. */
  readonly adopted: boolean;
  /** The journal knows fills of it, so the account that it was traded on knows its order. */
  readonly filled: boolean;
  /** The entry order: not known to the exchange yet, may still fill, or will never fill again. */
  entry: "unknown" | "open" | "over";
  /** What journal and exchange contradict each other in, as a sentence; the work is not over while it stands. */
  contradiction: string | undefined;
  account: TradeAccount;
  /** The position as the exchange showed it last. */
  held: HeldPosition | undefined;
  exit: ExitAttempt | undefined;
  /** After refused exits nothing is sent before `notBeforeMs` of the monotonic clock. */
  exitRetry: { readonly refusals: number; readonly notBeforeMs: number };
  exitWanted: ExitReason | undefined;
  readonly protection: { refusedFor: string | undefined; failures: number };
  readonly recordedExecutions: Set<string>;
  /** Last trade record, as text: the same one is not written twice. */
  recordedTrade: string | undefined;
}

export interface ExitAttempt {
  readonly attempt: number;
  readonly id: string;
  /** `fresh` was never sent; `doubtful` may have been; `sent` was accepted. */
  readonly state: "fresh" | "doubtful" | "sent";
  /** By the monotonic clock, as is all waiting for an exit: a step of the wall clock must not delay it. */
  readonly sentMs: number;
}

/** This machine's clock may be ahead of the exchange's. Ids say what belongs to a work: more executions cost only their reading. */
const CLOCK_MARGIN_MS = 600_000;

export function workFromIntent(intent: Intent, adopted: boolean): Work {
  const side = intent.side === "buy" ? "long" : "short";
  const sentMs = Date.parse(intent.at);
  return {
    ...newWork({ entryId: intent.clientOrderId, side }),
    symbol: intent.symbol,
    sentMs,
    sinceMs: sentMs - CLOCK_MARGIN_MS,
    adopted,
    filled: false,
  };
}

export function workFromTrade(trade: Trade): Work {
  const openedMs = Date.parse(trade.openedAt);
  return {
    ...newWork({ entryId: trade.id, side: trade.side }),
    symbol: trade.symbol,
    sentMs: openedMs,
    sinceMs: openedMs - CLOCK_MARGIN_MS,
    adopted: true,
    filled: true,
  };
}

function newWork(trade: { readonly entryId: string; readonly side: PositionSide }) {
  return {
    entryId: trade.entryId,
    side: trade.side,
    entry: "unknown" as const,
    contradiction: undefined,
    account: accountForTrade(trade, []),
    held: undefined,
    exit: undefined,
    exitRetry: { refusals: 0, notBeforeMs: 0 },
    exitWanted: undefined,
    protection: { refusedFor: undefined, failures: 0 },
    recordedExecutions: new Set<string>(),
    recordedTrade: undefined,
  };
}
