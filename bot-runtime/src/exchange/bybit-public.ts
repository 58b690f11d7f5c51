import * as z from "zod";
import type { HttpClient } from "../http-client.ts";
import { candlesIn, Instrument, tradingRules } from "./bybit-market-data.ts";
import { bybitInterval, bybitSymbol } from "./bybit-names.ts";
import type { Candle, CandleQuery, Market } from "./exchange.ts";

/**
 * Bybit's public market data without ccxt, for paper bots: they need no key and stay small.
 */
const PUBLIC_REST = "https://api.bybit.com";
const TIMEOUT_MS = 8_000;

const InstrumentAnswer = z.object({ result: z.object({ list: z.array(Instrument) }) });

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
      return tradingRules(symbol, instrument);
    },
    candles: async ({ symbol, timeframe, sinceMs, limit }) => {
      const answer = await get("/v5/market/kline", {
        symbol: bybitSymbol(symbol),
        interval: bybitInterval(timeframe),
        limit: `${limit}`,
        ...(sinceMs === undefined ? {} : { start: `${sinceMs}` }),
      });
      return candlesIn(answer);
    },
  };
}
