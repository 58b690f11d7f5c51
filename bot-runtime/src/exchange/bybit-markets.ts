import { amount, price, quantity } from "../money.ts";
import { Instrument } from "./bybit-answers.ts";
import type { BybitClient } from "./bybit-client.ts";
import type { Market } from "./exchange.ts";

/** Ticks, minimums and listings change: often enough to know before most orders do, 2 requests of Bybit's 120 a second. */
const RULES_MAX_AGE_MS = 3_600_000;
const DEFAULT_MINIMUM_VALUE = "5";
const TRADING = "Trading";

/** Trading rules of the symbols that a bot has, kept fresh. */
export interface Markets {
  /** Waits only for symbols that it was never asked for. */
  readonly prepare: (symbols: readonly string[]) => Promise<void>;
  /** Undefined when the exchange does not list the symbol as trading. Throws for one that was not prepared. */
  readonly market: (symbol: string) => Market | undefined;
}

/** Loads by the first of `clients`, and tells all of them. `monotonicMs` is a clock that nobody sets. */
export function createMarkets(
  clients: readonly [BybitClient, ...BybitClient[]],
  monotonicMs: () => number,
): Markets {
  const wanted = new Set<string>();
  const known = new Map<string, Market | undefined>();
  let dueMs = 0;
  let loading: Promise<void> | undefined;

  const load = async () => {
    const all = await clients[0].fetchMarkets();
    // Only the wanted ones stay in memory: Bybit lists some 650 linear contracts, 25 MB.
    const chosen = all.filter((market) => wanted.has(market?.symbol ?? ""));
    const rules = chosen.flatMap((market) => tradingRules(market) ?? []);
    for (const symbol of wanted) {
      known.set(
        symbol,
        rules.find((market) => market.symbol === symbol),
      );
    }
    for (const client of clients) client.setMarkets(chosen);
    dueMs = monotonicMs() + RULES_MAX_AGE_MS;
  };
  const loadOnce = async () => (loading ??= load().finally(() => (loading = undefined)));
  return {
    prepare: async (symbols) => {
      for (const symbol of symbols) wanted.add(symbol);
      const isKnown = () => symbols.every((symbol) => known.has(symbol));
      // Of several symbols that come at once one asks for all; one that comes during an answer asks again.
      if (!isKnown()) await loadOnce();
      if (!isKnown()) await loadOnce();
      if (monotonicMs() < dueMs) return;
      dueMs = monotonicMs() + RULES_MAX_AGE_MS;
      // The rules at hand serve until the next hour, should the exchange not answer now.
      loadOnce().catch(() => undefined);
    },
    market: (symbol) => {
      if (!known.has(symbol)) throw new Error(`prepare() was not called for ${symbol}`);
      return known.get(symbol);
    },
  };
}

function tradingRules(market: unknown): Market | undefined {
  const { symbol, quote, info } = Instrument.parse(market);
  if (info.status !== TRADING) return undefined;
  const lot = info.lotSizeFilter;
  return {
    symbol,
    quoteCurrency: quote,
    tick: price(info.priceFilter.tickSize),
    quantityStep: quantity(lot.qtyStep),
    minimumQuantity: quantity(lot.minOrderQty),
    maximumQuantity: quantity(lot.maxMktOrderQty ?? lot.maxOrderQty),
    minimumValue: amount(lot.minNotionalValue ?? DEFAULT_MINIMUM_VALUE),
    maximumLeverage: Math.floor(Number(info.leverageFilter.maxLeverage)),
  };
}
