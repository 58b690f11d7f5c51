import type { RsiParams } from "@tradingbots/crds";
import { nextRsi, RSI_START, type RsiState, rsiValue } from "./rsi-index.ts";
import { NO_PROPOSAL, type PriceBar, type Proposal, type Strategy } from "./strategy.ts";

interface State {
  readonly slow: RsiState;
  readonly fast: RsiState;
}

/** Confidence exactly at a threshold: the default `minConfidence` (60) lets every signal beyond it pass. */
const CONFIDENCE_AT_THRESHOLD = 60;

/**
 * Buys weakness and sells strength: RSI below `buyBelow` closes a short and opens a long, above `sellAbove` closes a long and
 * opens a short (as far as `direction` allows). With `confirmPeriod` a second, faster index must lie beyond the same
 * threshold before anything is opened; closing never waits for it.
 *
 * Confidence = 60 + 40 × depth, where depth is the share of the way from the threshold to the end of the scale:
 * (buyBelow − RSI) / buyBelow, or (RSI − sellAbove) / (100 − sellAbove). RSI 30 at buyBelow 30 gives 60, 15 gives 80, 0 gives
 * 100; a higher `minConfidence` asks for deeper signals (70 at the default thresholds: below 22.5, above 77.5).
 */
export function createRsiStrategy(params: RsiParams): Strategy<State> {
  const { period, confirmPeriod } = params;
  return {
    initial: { slow: RSI_START, fast: RSI_START },
    warmUp: Math.max(period, confirmPeriod ?? 0),
    decide: (state, bar: PriceBar) => {
      const slow = nextRsi(state.slow, bar.close, period);
      const fast =
        confirmPeriod === null ? RSI_START : nextRsi(state.fast, bar.close, confirmPeriod);
      const proposal = propose(params, {
        index: rsiValue(slow, period),
        confirmation: confirmPeriod === null ? undefined : rsiValue(fast, confirmPeriod),
      });
      return { state: { slow, fast }, proposal };
    },
  };
}

interface Values {
  readonly index: number | undefined;
  readonly confirmation: number | undefined;
}

function propose(params: RsiParams, { index, confirmation }: Values): Proposal {
  if (index === undefined) return NO_PROPOSAL;
  const weak = index < params.buyBelow;
  if (!weak && index <= params.sellAbove) return NO_PROPOSAL;
  const side = weak ? "long" : "short";
  const allowed = params.direction === "both" || params.direction === side;
  const enters = allowed && isConfirmed(params, weak, confirmation);
  return {
    enter: enters ? side : undefined,
    exit: weak ? "short" : "long",
    confidence: enters ? confidence(params, index) : 0,
    note: weak
      ? `RSI ${index.toFixed(2)} below ${params.buyBelow}`
      : `RSI ${index.toFixed(2)} above ${params.sellAbove}`,
  };
}

function isConfirmed(params: RsiParams, weak: boolean, confirmation: number | undefined): boolean {
  if (params.confirmPeriod === null) return true;
  if (confirmation === undefined) return false;
  return weak ? confirmation < params.buyBelow : confirmation > params.sellAbove;
}

function confidence({ buyBelow, sellAbove }: RsiParams, index: number): number {
  const depth =
    index < buyBelow ? (buyBelow - index) / buyBelow : (index - sellAbove) / (100 - sellAbove);
  return CONFIDENCE_AT_THRESHOLD + (100 - CONFIDENCE_AT_THRESHOLD) * depth;
}
