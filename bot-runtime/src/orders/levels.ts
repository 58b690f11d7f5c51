import type { Levels, Market, PositionSide } from "../exchange/exchange.ts";
import { Decimal, price, type Price, roundToStep } from "../money.ts";

export interface LevelPercents {
  readonly stopLossPercent: number;
  readonly takeProfitPercent: number;
}

const HUNDRED = new Decimal(100);

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
    const level = position.price.times(HUNDRED.plus(percent)).div(HUNDRED);
    const rounded = roundToStep(level, market.tick);
    return rounded.lt(market.tick) ? market.tick : price(rounded);
  };
  return {
    stopLoss: at(-direction * percents.stopLossPercent),
    takeProfit: at(direction * percents.takeProfitPercent),
  };
}
