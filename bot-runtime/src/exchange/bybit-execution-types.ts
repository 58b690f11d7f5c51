import type { BybitExecution, UnshapedExecution } from "./bybit-answers.ts";
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
  readonly cause: Execution["cause"];
  readonly source: "E" | "L";
}

const NOT_IN_TABLE = { meaning: "not known to the bot", cause: "unknown" } as const;

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
    cause: "unknown",
    source: "L",
  },
  ReverseSplitSettle: {
    meaning: "fractions of shares after a reverse split",
    cause: "unknown",
    source: "L",
  },
  // For four weeks of 2026 it stood for dividends and splits alike.
  CorporateAction: { meaning: "a dividend or a split", cause: "unknown", source: "L" },
};

/** What a row was; by a type that the table lacks, or cannot tell, nobody's position is moved. */
export function executionCause(row: BybitExecution): Pick<Execution, "cause" | "unexplained"> {
  const { meaning, cause } = BYBIT_EXECUTION_TYPES[row.execType] ?? NOT_IN_TABLE;
  if (cause === "unknown") return { cause, unexplained: unexplained(row, meaning) };
  if (cause !== "order") return { cause };
  if (isStop(row.stopOrderType)) return { cause: "stop" };
  return { cause: isTarget(row.stopOrderType) ? "target" : "order" };
}

/** Whether a row of this type has moved a position for certain. */
export function isMoving({ execType }: UnshapedExecution): boolean {
  const { cause } = BYBIT_EXECUTION_TYPES[execType] ?? NOT_IN_TABLE;
  return cause !== "unknown" && cause !== "funding";
}

export function unexplained({ execId, execType }: UnshapedExecution, meaning: string): string {
  return `execution ${execId} is of type ${execType} (${meaning})`;
}

// https://bybit-exchange.github.io/docs/v5/enum#stopordertype
export const isStop = (type: string) =>
  ["StopLoss", "PartialStopLoss", "TrailingStop"].includes(type);
export const isTarget = (type: string) => ["TakeProfit", "PartialTakeProfit"].includes(type);
