import type { Risk } from "@tradingbots/crds";
import type { Order } from "../../../hack/exchange-simulator/order.ts";
import { Decimal } from "../../src/money.ts";

/** An own position that nobody else has a share in. */
export interface HeldAlone {
  readonly side: "Buy" | "Sell";
  /** Mean price of its entry's fills. */
  readonly entryPrice: Decimal;
  readonly lastPrice: Decimal;
  readonly tick: Decimal;
  readonly stop: Order | undefined;
}

export interface WantedElsewhere {
  readonly at: string;
  /** The price has passed one of the levels: the exchange refuses them. */
  readonly isPassed: boolean;
}

/**
 * Where the stop should be, for each of these settings: entry × (1 ∓ percent / 100), reckoned apart from the product's. Undefined
 * while it is there, to a tick.
 */
export function wantedElsewhere(
  held: HeldAlone,
  risks: readonly Risk[],
): WantedElsewhere | undefined {
  const { stop, tick } = held;
  const stops = risks.map((risk) => level(held, -risk.stopLossPercent));
  const targets = risks.map((risk) => level(held, risk.takeProfitPercent));
  const placed = stop?.trigger?.price;
  if (placed === undefined || stops.some((each) => each.minus(placed).abs().lte(tick)))
    return undefined;
  const isBehind = (each: Decimal) => isBetter(held, held.lastPrice, each);
  const isAhead = (each: Decimal) => isBetter(held, each, held.lastPrice);
  const at = [...new Set(stops.map((each) => each.toDecimalPlaces(4).toFixed()))].join(" or ");
  return { at, isPassed: !stops.every(isBehind) || !targets.every(isAhead) };
}

function level({ side, entryPrice }: HeldAlone, percent: number): Decimal {
  const signed = side === "Buy" ? percent : -percent;
  return new Decimal(entryPrice.times(new Decimal(100).plus(signed)).div(100));
}

function isBetter({ side }: HeldAlone, one: Decimal, other: Decimal): boolean {
  return side === "Buy" ? one.gt(other) : one.lt(other);
}
