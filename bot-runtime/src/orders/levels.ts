import type { Levels, Market, PositionSide } from "../exchange/exchange.ts";
import { Decimal, price, type Price, roundToStep } from "../money.ts";
import { oncePer } from "../once-per.ts";

export interface LevelPercents {
  readonly stopLossPercent: number;
  readonly takeProfitPercent: number;
}

/** What a price is multiplied with, by the side of the position. */
const factorsOf = oncePer(({ stopLossPercent, takeProfitPercent }: LevelPercents) => ({
  long: { stopLoss: oneAnd(-stopLossPercent), takeProfit: oneAnd(takeProfitPercent) },
  short: { stopLoss: oneAnd(stopLossPercent), takeProfit: oneAnd(-takeProfitPercent) },
}));

/**
 * Stop and target of a position: its price × (1 ± percent / 100), rounded to the instrument's tick. For a long the stop is
 * below and the target above, for a short the other way round. Never zero or negative: the stop is at least one tick.
 */
export function protectionLevels(
  position: { readonly side: PositionSide; readonly price: Price },
  percents: LevelPercents,
  market: Pick<Market, "tick">,
): Required<Levels> & { readonly takeProfit: Price } {
  const factors = factorsOf(percents)[position.side];
  const at = (factor: Decimal): Price => {
    const rounded = roundToStep(position.price.times(factor), market.tick);
    return rounded.isZero() || rounded.isNegative() ? market.tick : price(rounded);
  };
  return { stopLoss: at(factors.stopLoss), takeProfit: at(factors.takeProfit) };
}

/** Exact: dividing by 100 moves the point. */
function oneAnd(percent: number): Decimal {
  return new Decimal(percent).div(100).plus(1);
}
