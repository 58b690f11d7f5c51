import type { HttpClient } from "../http-client.ts";
import { candlesIn, tradingRules } from "./bybit-market-data.ts";
import { createMarkets } from "./bybit-markets.ts";
import { bybitInterval, request } from "./bybit-names.ts";
import { faultOfError } from "./bybit-outcomes.ts";
import type { Exchange } from "./exchange.ts";

/**
 * Bybit's public market data without ccxt, for paper bots: they need no key and stay small. The same questions, read in the same
 * way, as a live bot's.
 */
const PUBLIC_REST = "https://api.bybit.com";
const TIMEOUT_MS = 8_000;

/** What a paper bot takes from the exchange itself. Rules are those of trading alone: play money pays no funding. */
export type PublicMarketData = Pick<Exchange, "prepare" | "market" | "delisted" | "candles">;

/** @throws ExchangeFault from each question */
export function bybitPublic(http: HttpClient, restUrl = PUBLIC_REST): PublicMarketData {
  const get = async (path: string, parameters: object): Promise<unknown> => {
    const url = new URL(path, restUrl);
    for (const [name, value] of Object.entries(parameters)) {
      url.searchParams.set(name, String(value));
    }
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const answer = await http(url.href, { method: "GET", headers: {}, signal });
    const text = await answer.text();
    if (answer.status !== 200) throw new Error(`bybit GET ${path} ${answer.status} ${text}`);
    const parsed: unknown = JSON.parse(text);
    if (isRefusal(parsed)) throw new Error(`bybit ${text}`);
    return parsed;
  };
  const markets = createMarkets(
    { publicGetV5MarketInstrumentsInfo: (query) => get("/v5/market/instruments-info", query) },
    { monotonicMs: () => performance.now(), rulesOf: tradingRules },
  );
  return {
    prepare: (symbols) => reading(markets.prepare(symbols)),
    market: markets.market,
    delisted: markets.delisted,
    candles: ({ symbol, timeframe, sinceMs, limit }) => {
      const start = sinceMs === undefined ? {} : { start: sinceMs };
      const query = { ...request(symbol), interval: bybitInterval(timeframe), limit, ...start };
      return reading(get("/v5/market/kline", query).then(candlesIn));
    },
  };
}

/** Bybit refuses with status 200 and a code in the answer. */
function isRefusal(answer: unknown): boolean {
  const isObject = typeof answer === "object" && answer !== null;
  return isObject && "retCode" in answer && answer.retCode !== 0;
}

async function reading<Answer>(asked: Promise<Answer>): Promise<Answer> {
  try {
    return await asked;
  } catch (error) {
    throw faultOfError(error);
  }
}
