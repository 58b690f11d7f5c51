import type { BacktestInput, BacktestResult } from "./backtest.ts";
import { isoTime } from "./candle-table.ts";
import { type FixedPoint, fixedPointText } from "./fixed-point.ts";
import type { ExitReason } from "./ledger.ts";

/** What came of a run. Amounts are exact decimal strings in the quote currency; times are ISO 8601 in UTC. */
export interface Summary {
  readonly candles: number;
  /** Open times of the first and the last candle. */
  readonly from: string;
  readonly to: string;
  readonly intervalSeconds: number;
  readonly missingCandles: number;
  readonly trades: number;
  readonly exits: Readonly<Record<ExitReason, number>>;
  /** Trades with a result above zero. */
  readonly wins: number;
  readonly winPercent: number;
  readonly pnl: string;
  readonly fees: string;
  /** Sum of all gains over the sum of all losses; null without a loss. */
  readonly profitFactor: number | null;
  /** Most that the sum of results ever lay below its own peak; of closed trades. */
  readonly maxDrawdown: string;
  /** Share of bars in which a position was open; not of a bar that it left at its open. */
  readonly inMarketPercent: number;
  /** Signals to enter that the risk gate refused. */
  readonly refusals: readonly {
    readonly reason: string;
    readonly count: number;
    /** Of the first one. */
    readonly message: string;
  }[];
  /** What levels were rounded to; null: not at all. */
  readonly tick: string | null;
}

/** One pass over the trades. */
export function summarise({ candles, tick }: BacktestInput, result: BacktestResult): Summary {
  const { trades, places } = result;
  const totals = addUp(result);
  const text = (value: FixedPoint): string => fixedPointText(value, places.amount);
  return {
    candles: candles.length,
    from: isoTime(candles.openTimesMs[0] ?? NaN),
    to: isoTime(candles.openTimesMs[candles.length - 1] ?? NaN),
    intervalSeconds: candles.intervalMs / 1_000,
    missingCandles: candles.gaps.reduce((sum, { missing }) => sum + missing, 0),
    trades: trades.length,
    exits: totals.exits,
    wins: totals.wins,
    winPercent: percent(totals.wins, trades.length),
    pnl: text(totals.gains - totals.losses),
    fees: text(totals.fees),
    profitFactor: totals.losses === 0n ? null : round(ratio(totals.gains, totals.losses)),
    maxDrawdown: text(totals.drawdown),
    inMarketPercent: percent(totals.bars, candles.length),
    refusals: [...result.refusals].map(([reason, refusal]) => ({ reason, ...refusal })),
    tick: tick?.toFixed() ?? null,
  };
}

function addUp({ trades }: BacktestResult) {
  const exits = { stop: 0, target: 0, signal: 0, end: 0 };
  let [gains, losses, fees, equity, peak, drawdown] = [0n, 0n, 0n, 0n, 0n, 0n];
  let [wins, bars] = [0, 0];
  for (const trade of trades) {
    exits[trade.reason] += 1;
    fees += trade.fees;
    equity += trade.pnl;
    bars += trade.exitIndex - trade.entryIndex + (trade.atOpen ? 0 : 1);
    if (trade.pnl > 0n) {
      wins += 1;
      gains += trade.pnl;
      if (equity > peak) peak = equity;
    } else {
      losses -= trade.pnl;
      if (peak - equity > drawdown) drawdown = peak - equity;
    }
  }
  return { exits, gains, losses, fees, drawdown, wins, bars };
}

function percent(part: number, whole: number): number {
  return whole === 0 ? 0 : round((100 * part) / whole);
}

/** To four places of a double: both are whole numbers far above them. */
function ratio(dividend: FixedPoint, divisor: FixedPoint): number {
  return Number((dividend * 1_000_000n) / divisor) / 1_000_000;
}

function round(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}
