import type { RsiParams } from "@tradingbots/crds";
import { RsiIndex } from "./rsi-index.ts";
import {
  type Explanation,
  NO_SIGNAL,
  type PriceBar,
  type Signal,
  type Strategy,
} from "./strategy.ts";

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
export class RsiStrategy implements Strategy {
  readonly #params: RsiParams;
  readonly #slow: RsiIndex;
  readonly #fast: RsiIndex | undefined;
  readonly #weak: SideSignals;
  readonly #strong: SideSignals;
  #index = Number.NaN;
  #signal = NO_SIGNAL;

  constructor(params: RsiParams) {
    const { period, confirmPeriod, direction } = params;
    this.#params = params;
    this.#slow = new RsiIndex(period);
    this.#fast = confirmPeriod === null ? undefined : new RsiIndex(confirmPeriod);
    this.#weak = sideSignals("long", direction);
    this.#strong = sideSignals("short", direction);
  }

  decide(bar: PriceBar): Signal {
    const { buyBelow, sellAbove } = this.#params;
    const index = this.#slow.next(bar.close);
    // Before there is a value it is NaN, which lies beyond nothing. Without a confirming index the first confirms itself.
    const fast = this.#fast === undefined ? index : this.#fast.next(bar.close);
    this.#index = index;
    if (index < buyBelow) {
      this.#signal = fast < buyBelow ? this.#weak.confirmed : this.#weak.unconfirmed;
    } else if (index > sellAbove) {
      this.#signal = fast > sellAbove ? this.#strong.confirmed : this.#strong.unconfirmed;
    } else {
      this.#signal = NO_SIGNAL;
    }
    return this.#signal;
  }

  explain(): Explanation {
    const { enter, exit } = this.#signal;
    if (exit === undefined) return { confidence: 0, note: "" };
    const { buyBelow, sellAbove } = this.#params;
    const isWeak = this.#index < buyBelow;
    return {
      confidence: enter === undefined ? 0 : confidence(this.#params, this.#index),
      note: `RSI ${this.#index.toFixed(2)} ${isWeak ? `below ${buyBelow}` : `above ${sellAbove}`}`,
    };
  }
}

/** What being beyond one threshold means: always a reason to close, if confirmed and allowed one to open. */
interface SideSignals {
  readonly confirmed: Signal;
  readonly unconfirmed: Signal;
}

function sideSignals(side: "long" | "short", direction: RsiParams["direction"]): SideSignals {
  const unconfirmed: Signal = { enter: undefined, exit: side === "long" ? "short" : "long" };
  const allowed = direction === "both" || direction === side;
  return { unconfirmed, confirmed: allowed ? { ...unconfirmed, enter: side } : unconfirmed };
}

function confidence({ buyBelow, sellAbove }: RsiParams, index: number): number {
  const depth =
    index < buyBelow ? (buyBelow - index) / buyBelow : (index - sellAbove) / (100 - sellAbove);
  return CONFIDENCE_AT_THRESHOLD + (100 - CONFIDENCE_AT_THRESHOLD) * depth;
}
