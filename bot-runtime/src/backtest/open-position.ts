import type { FixedPoint } from "./fixed-point.ts";
import { powerOfTen } from "./fixed-point.ts";
import type { Closing, Opening } from "./ledger.ts";
import type { PriceScale } from "./price-scale.ts";

type Reached = Pick<Closing, "exitPrice" | "reason" | "atOpen">;

/** Doubles this close to a level (as a share of it) are compared exactly; their own error is a hundredth of it. */
const DOUBTFUL = 1e-14;

/**
 * A position with its stop and target. Bars are doubles and levels exact: the doubles find the few bars that may have reached a
 * level, exact numbers say whether they did.
 */
export class OpenPosition {
  readonly opening: Opening;
  readonly #scale: PriceScale;
  readonly #isLong: boolean;
  readonly #stop: FixedPoint;
  readonly #target: FixedPoint;
  /** No price on the good side of this can have reached the stop; likewise the target. */
  readonly #nearStop: number;
  readonly #nearTarget: number;

  constructor(opening: Opening, scale: PriceScale) {
    const { stop, target } = scale.levels(opening.side, opening.entryPrice);
    const unit = Number(powerOfTen(scale.places));
    this.opening = opening;
    this.#scale = scale;
    this.#isLong = opening.side === "long";
    this.#stop = stop;
    this.#target = target;
    const inward = this.#isLong ? DOUBTFUL : -DOUBTFUL;
    this.#nearStop = (Number(stop) / unit) * (1 + inward);
    this.#nearTarget = (Number(target) / unit) * (1 - inward);
  }

  /** A bar that opens at a level or beyond it closes the position at its open. */
  reachedAtOpen(open: number): Reached | undefined {
    if (this.#reachesStop(open))
      return { exitPrice: this.#scale.price(open), reason: "stop", atOpen: true };
    if (this.#reachesTarget(open))
      return { exitPrice: this.#scale.price(open), reason: "target", atOpen: true };
    return undefined;
  }

  /** Inside a bar a level is reached by touching it; when both are, the stop was first: the worse of what cannot be known. */
  reachedInside(low: number, high: number): Reached | undefined {
    if (this.#reachesStop(this.#isLong ? low : high))
      return { exitPrice: this.#stop, reason: "stop", atOpen: false };
    if (this.#reachesTarget(this.#isLong ? high : low))
      return { exitPrice: this.#target, reason: "target", atOpen: false };
    return undefined;
  }

  #reachesStop(seen: number): boolean {
    if (this.#isLong) return seen <= this.#nearStop && this.#scale.price(seen) <= this.#stop;
    return seen >= this.#nearStop && this.#scale.price(seen) >= this.#stop;
  }

  #reachesTarget(seen: number): boolean {
    if (this.#isLong) return seen >= this.#nearTarget && this.#scale.price(seen) >= this.#target;
    return seen <= this.#nearTarget && this.#scale.price(seen) <= this.#target;
  }
}
