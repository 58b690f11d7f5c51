import type { Levels, Market, PositionSide } from "../exchange/exchange.ts";
import { Decimal, price, type Price, roundToStep } from "../money.ts";

export interface LevelPercents {
  readonly stopLossPercent: number;
  readonly takeProfitPercent: number;
}

/**
 * Stop and target of a position: its price × (1 ± percent / 100), rounded to the instrument's tick. For a long the stop is
 * below and the target above, for a short the other way round. Never zero or negative: the stop is at least one tick.
 */
export function protectionLevels(
  position: { readonly side: PositionSide; readonly price: Price },
  percents: LevelPercents,
  market: Pick<Market, "tick">,
): Required<Levels> & { readonly takeProfit: Price } {
  const direction = position.side === "long" ? 1 : -1;
  const at = (percent: number): Price => {
    const factor = new Decimal(percent).div(100).plus(1);
    const rounded = roundToStep(position.price.times(factor), market.tick);
    return price(Decimal.max(rounded, market.tick));
  };
  return {
    stopLoss: at(-direction * percents.stopLossPercent),
    takeProfit: at(direction * percents.takeProfitPercent),
  };
}
