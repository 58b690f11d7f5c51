import * as z from "zod";
import { amount, price, quantity } from "../money.ts";
import type { Candle, Market } from "./exchange.ts";

/**
 * Bybit's public answers about contracts and candles, and what a bot makes of them; live and paper bots ask the same questions.
 * https://bybit-exchange.github.io/docs/v5/market/kline · https://bybit-exchange.github.io/docs/v5/market/instrument
 */
const Decimal = z.string().regex(/^[0-9]+(\.[0-9]+)?$/);
const DEFAULT_MINIMUM_VALUE = "5";

export const Instrument = z.object({
  symbol: z.string(),
  quoteCoin: z.string(),
  status: z.string(),
  priceFilter: z.object({ tickSize: Decimal }),
  leverageFilter: z.object({ maxLeverage: Decimal }),
  /** Minutes; a dated future has none. */
  fundingInterval: z.number().int().min(0).optional(),
  lotSizeFilter: z.object({
    qtyStep: Decimal,
    minOrderQty: Decimal,
    maxMktOrderQty: Decimal.optional(),
    maxOrderQty: Decimal,
    minNotionalValue: Decimal.optional(),
  }),
});

/** Rules of the contract, whatever its status; without funding. */
export function tradingRules(symbol: string, instrument: z.infer<typeof Instrument>): Market {
  const lot = instrument.lotSizeFilter;
  return {
    symbol,
    quoteCurrency: instrument.quoteCoin,
    tick: price(instrument.priceFilter.tickSize),
    quantityStep: quantity(lot.qtyStep),
    minimumQuantity: quantity(lot.minOrderQty),
    maximumQuantity: quantity(lot.maxMktOrderQty ?? lot.maxOrderQty),
    minimumValue: amount(lot.minNotionalValue ?? DEFAULT_MINIMUM_VALUE),
    maximumLeverage: Math.floor(Number(instrument.leverageFilter.maxLeverage)),
  };
}

/** The same, and whether it is funded. */
export function tradingRulesWithFunding(
  symbol: string,
  instrument: z.infer<typeof Instrument>,
): Market {
  const isFunded = (instrument.fundingInterval ?? 0) > 0;
  return { ...tradingRules(symbol, instrument), isFunded };
}

/** Rows of [open time, open, high, low, close, volume, turnover], newest first. */
const KlineAnswer = z.object({
  result: z.object({
    list: z.array(
      z.tuple([z.string().regex(/^[0-9]+$/), Decimal, Decimal, Decimal, Decimal], z.unknown()),
    ),
  }),
});

/** Candles of an answer to `/v5/market/kline`, oldest first. */
export function candlesIn(answer: unknown): readonly Candle[] {
  const rows = KlineAnswer.parse(answer).result.list.map(([start, open, high, low, close]) => ({
    openTimeMs: Number(start),
    open: price(open),
    high: price(high),
    low: price(low),
    close: price(close),
  }));
  return rows.toReversed();
}
