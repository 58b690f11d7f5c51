import type { BacktestInput, BacktestResult } from "./backtest.ts";
import { isoTime } from "./candle-table.ts";
import { fixedPointText } from "./fixed-point.ts";
import { type BacktestTrade, type ExitReason, quantityText } from "./ledger.ts";
import { type Summary, summarise } from "./summary.ts";

/** A trade as the report file has it: times are the open times of the bars in which it happened, ISO 8601 in UTC; the rest are exact decimal strings. */
interface ReportedTrade {
  readonly side: "long" | "short";
  readonly entryTime: string;
  readonly entryPrice: string;
  readonly exitTime: string;
  readonly exitPrice: string;
  readonly reason: ExitReason;
  readonly quantity: string;
  readonly fees: string;
  /** Gross result less both fees. */
  readonly pnl: string;
}

export interface Report {
  readonly trades: readonly ReportedTrade[];
  readonly summary: Summary;
}

/** Trades that the table shows from the beginning and from the end; the file has all. */
const SHOWN_AT_EACH_END = 20;

export function buildReport(input: BacktestInput, result: BacktestResult): Report {
  const { openTimesMs } = input.candles;
  const { places } = result;
  const time = (index: number): string => isoTime(openTimesMs[index] ?? NaN);
  const reported = (trade: BacktestTrade): ReportedTrade => ({
    side: trade.side,
    entryTime: time(trade.entryIndex),
    entryPrice: fixedPointText(trade.entryPrice, places.price),
    exitTime: time(trade.exitIndex),
    exitPrice: fixedPointText(trade.exitPrice, places.price),
    reason: trade.reason,
    quantity: quantityText(trade),
    fees: fixedPointText(trade.fees, places.amount),
    pnl: fixedPointText(trade.pnl, places.amount),
  });
  return { trades: result.trades.map(reported), summary: summarise(input, result) };
}

/** For a terminal: the trades and what came of them, amounts to two places. */
export function reportTable({ trades, summary }: Report): string {
  const header = ["", "side", "entry", "price", "exit", "price", "reason", "pnl"];
  const rows = trades.map((trade, index) => [
    String(index + 1),
    trade.side,
    minute(trade.entryTime),
    trade.entryPrice,
    minute(trade.exitTime),
    trade.exitPrice,
    trade.reason,
    Number(trade.pnl).toFixed(2),
  ]);
  const hidden = rows.length - 2 * SHOWN_AT_EACH_END;
  const shown =
    hidden <= 0
      ? rows
      : [
          ...rows.slice(0, SHOWN_AT_EACH_END),
          ["…", `${hidden} more`, "", "", "", "", "", ""],
          ...rows.slice(-SHOWN_AT_EACH_END),
        ];
  return [...aligned([header, ...shown]), "", ...summaryLines(summary)].join("\n");
}

function summaryLines(summary: Summary): readonly string[] {
  const { exits } = summary;
  const lines: [string, string][] = [
    [
      "candles",
      `${summary.candles} of ${summary.intervalSeconds} s, ${minute(summary.from)} to ${minute(summary.to)} UTC`,
    ],
    [
      "trades",
      `${summary.trades}: ${exits.target} at target, ${exits.stop} at stop, ${exits.signal} by signal, ${exits.end} at the end`,
    ],
    ["won", `${summary.wins} (${summary.winPercent.toFixed(1)} %)`],
    [
      "result",
      `${Number(summary.pnl).toFixed(2)} after ${Number(summary.fees).toFixed(2)} of fees`,
    ],
    ["profit factor", summary.profitFactor?.toFixed(2) ?? "no losses"],
    ["max drawdown", Number(summary.maxDrawdown).toFixed(2)],
    ["in the market", `${summary.inMarketPercent.toFixed(1)} %`],
    ["tick", summary.tick ?? "none"],
    ...summary.refusals.map(({ reason, count, message }): [string, string] => [
      "refused",
      `${count} × ${reason}, first: ${message}`,
    ]),
  ];
  return lines.map(([name, said]) => `${name.padEnd(15)}${said}`);
}

/** Numbers to the right, words to the left. */
function aligned(rows: readonly (readonly string[])[]): readonly string[] {
  const isRight = [true, false, false, true, false, true, false, true];
  const widths = isRight.map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return isRight[column] === true ? cell.padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd(),
  );
}

function minute(isoText: string): string {
  return isoText.slice(0, 16).replace("T", " ");
}
