import type { BybitExecution } from "./bybit-answers.ts";
import { exchangeFault } from "./bybit-outcomes.ts";
import type { Execution } from "./exchange.ts";

/**
 * What Bybit's types of executions do to a position. The table is the only way into an account: a row of any other type may have
 * moved the position or only money, in either direction, and nobody can tell which.
 *
 * Sources: [E] https://bybit-exchange.github.io/docs/v5/enum#exectype ·
 * [L] https://bybit-exchange.github.io/docs/changelog/v5, 2026-08-20
 */
interface Row {
  readonly meaning: string;
  /** Undefined: what it does to a position is not known. */
  readonly cause: Execution["cause"] | undefined;
  readonly source: "E" | "L";
}

export const BYBIT_EXECUTION_TYPES: Readonly<Record<string, Row>> = {
  Trade: { meaning: "an order's fill", cause: "order", source: "E" },
  BlockTrade: { meaning: "a trade agreed upon beside the book", cause: "order", source: "E" },
  MovePosition: { meaning: "moved to or from another account", cause: "order", source: "E" },
  FutureSpread: { meaning: "one leg of a spread order", cause: "order", source: "E" },
  AdlTrade: { meaning: "auto-deleveraging", cause: "adl", source: "E" },
  BustTrade: { meaning: "taken over by the liquidation", cause: "liquidation", source: "E" },
  Delivery: { meaning: "closed at the end of a contract", cause: "delisting", source: "E" },
  Settle: { meaning: "closed at the end of a contract", cause: "delisting", source: "E" },
  // Money alone, as long as the position is held: both go to the trade's funding.
  Funding: { meaning: "funding", cause: "funding", source: "E" },
  Dividend: { meaning: "a dividend", cause: "funding", source: "L" },
  // After a split quantity and price are others than those of the executions before it.
  ForwardSplitSettle: {
    meaning: "fractions of shares after a split",
    cause: undefined,
    source: "L",
  },
  ReverseSplitSettle: {
    meaning: "fractions of shares after a reverse split",
    cause: undefined,
    source: "L",
  },
  // For four weeks of 2026 it stood for dividends and splits alike.
  CorporateAction: { meaning: "a dividend or a split", cause: undefined, source: "L" },
};

/** @throws ExchangeFault for what no account can be made of: whoever asks knows nothing of the position then. */
export function executionCause(row: BybitExecution): Execution["cause"] {
  const { meaning = "not known to the bot", cause } = BYBIT_EXECUTION_TYPES[row.execType] ?? {};
  if (cause === undefined) {
    throw exchangeFault("Refused", {
      code: "UnknownExecution",
      message: `${row.symbol}: execution ${row.execId} is of type ${row.execType} (${meaning}): what is held there cannot be told; nothing is opened or closed, look after it at the exchange`,
    });
  }
  if (cause !== "order") return cause;
  if (isStop(row.stopOrderType)) return "stop";
  return isTarget(row.stopOrderType) ? "target" : "order";
}

// https://bybit-exchange.github.io/docs/v5/enum#stopordertype
export const isStop = (type: string) =>
  ["StopLoss", "PartialStopLoss", "TrailingStop"].includes(type);
export const isTarget = (type: string) => ["TakeProfit", "PartialTakeProfit"].includes(type);
