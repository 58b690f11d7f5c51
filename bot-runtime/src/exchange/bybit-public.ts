import * as z from "zod";
import type { HttpClient } from "../http-client.ts";
import { amount, price, quantity } from "../money.ts";
import { bybitInterval, bybitSymbol } from "./bybit-names.ts";
import type { Candle, CandleQuery, Market } from "./exchange.ts";

/**
 * Bybit's public market data without ccxt, for paper bots: they need no key and stay small.
 * https://bybit-exchange.github.io/docs/v5/market/kline · https://bybit-exchange.github.io/docs/v5/market/instrument
 */
const PUBLIC_REST = "https://api.bybit.com";
const TIMEOUT_MS = 8_000;

const Decimal = z.string().regex(/^[0-9]+(\.[0-9]+)?$/);
const KlineAnswer = z.object({
  result: z.object({
    list: z.array(z.tuple([z.string(), Decimal, Decimal, Decimal, Decimal], z.unknown())),
  }),
});
const InstrumentAnswer = z.object({
  result: z.object({
    list: z.array(
      z.object({
        quoteCoin: z.string(),
        priceFilter: z.object({ tickSize: Decimal }),
        leverageFilter: z.object({ maxLeverage: Decimal }),
        lotSizeFilter: z.object({
          qtyStep: Decimal,
          minOrderQty: Decimal,
          maxMktOrderQty: Decimal,
          minNotionalValue: Decimal.default("5"),
        }),
      }),
    ),
  }),
});

export interface PublicMarketData {
  readonly market: (symbol: string) => Promise<Market>;
  readonly candles: (query: CandleQuery) => Promise<readonly Candle[]>;
}

export function bybitPublic(http: HttpClient, restUrl = PUBLIC_REST): PublicMarketData {
  const get = async (path: string, parameters: Record<string, string>): Promise<unknown> => {
    const url = new URL(path, restUrl);
    url.search = new URLSearchParams({ category: "linear", ...parameters }).toString();
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const answer = await http(url.href, { method: "GET", headers: {}, signal });
    if (answer.status !== 200) throw new Error(`${path} answered ${answer.status}`);
    return JSON.parse(await answer.text());
  };
  return {
    market: async (symbol) => {
      const answer = await get("/v5/market/instruments-info", { symbol: bybitSymbol(symbol) });
      const [instrument] = InstrumentAnswer.parse(answer).result.list;
      if (instrument === undefined) throw new Error(`no linear contract ${symbol}`);
      const { lotSizeFilter: lot } = instrument;
      return {
        symbol,
        quoteCurrency: instrument.quoteCoin,
        tick: price(instrument.priceFilter.tickSize),
        quantityStep: quantity(lot.qtyStep),
        minimumQuantity: quantity(lot.minOrderQty),
        maximumQuantity: quantity(lot.maxMktOrderQty),
        minimumValue: amount(lot.minNotionalValue),
        maximumLeverage: Math.floor(Number(instrument.leverageFilter.maxLeverage)),
      };
    },
    candles: async ({ symbol, timeframe, sinceMs, limit }) => {
      const answer = await get("/v5/market/kline", {
        symbol: bybitSymbol(symbol),
        interval: bybitInterval(timeframe),
        limit: `${limit}`,
        ...(sinceMs === undefined ? {} : { start: `${sinceMs}` }),
      });
      const rows = KlineAnswer.parse(answer).result.list.map(([start, open, high, low, close]) => ({
        openTimeMs: Number(start),
        open: price(open),
        high: price(high),
        low: price(low),
        close: price(close),
      }));
      // Bybit answers newest first.
      return rows.toReversed();
    },
  };
}
