import type { ClockReading } from "../exchange/exchange.ts";
import type { Amount } from "../money.ts";
import type { Refusal } from "../risk/gate.ts";
import type { Metrics } from "./metrics.ts";

export interface GaugeSources {
  readonly leaseRemainingMs: () => number;
  readonly consecutiveErrors: () => number;
  readonly halts: () => number;
  readonly clock: () => ClockReading | undefined;
  readonly longestGapMs: () => number;
  readonly candleAgesMs: () => readonly (readonly [symbol: string, ageMs: number | undefined])[];
  readonly turnAgesMs: () => readonly (readonly [symbol: string, ageMs: number])[];
  /** Of the day's change of the account's equity, what this bot's trades do not explain; undefined while one of them is not known. */
  readonly unexplainedEquity: () => Amount | undefined;
  readonly blocked: () => readonly Refusal[];
}

/** What alerts and people want to see of the gate and of what watches over it. Unknown is NaN, as Prometheus has it. */
export function registerGauges(metrics: Metrics, sources: GaugeSources): void {
  metrics.gauge("bot_lease_remaining_seconds", () => seconds(sources.leaseRemainingMs()));
  metrics.gauge("bot_consecutive_errors", sources.consecutiveErrors);
  metrics.gauge("bot_halts", sources.halts);
  metrics.gauge("bot_unexplained_equity", () => sources.unexplainedEquity()?.toNumber() ?? NaN);
  metrics.gauge("bot_clock_skew_seconds", () => seconds(sources.clock()?.skewMs));
  metrics.gauge("bot_clock_uncertainty_seconds", () => seconds(sources.clock()?.uncertaintyMs));
  metrics.gauge("bot_event_loop_longest_gap_seconds", () => seconds(sources.longestGapMs()));
  metrics.gauges("bot_candle_age_seconds", () => sources.candleAgesMs().map(secondsOfSymbol));
  metrics.gauges("bot_turn_age_seconds", () => sources.turnAgesMs().map(secondsOfSymbol));
  metrics.gauges("bot_blocked", () =>
    [...new Set(sources.blocked().map(({ reason }) => reason))].map((reason) => ({
      labels: { reason },
      value: 1,
    })),
  );
}

function secondsOfSymbol([symbol, ms]: readonly [symbol: string, ms: number | undefined]) {
  return { labels: { symbol }, value: seconds(ms) };
}

function seconds(ms: number | undefined): number {
  return ms === undefined ? NaN : ms / 1_000;
}
