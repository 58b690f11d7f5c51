import type { Exchange as ExchangeName } from "./fields.ts";

/** What an exchange does for a bot, each proven by the conformance suite through its adapter, or false. */
interface Capabilities {
  /** Stop and target are part of the entry's own request, so there is no moment without them. */
  readonly atomicProtection: boolean;
  /** Orders can be found by the client's id, open or over, and what comes back is the very order. */
  readonly lookUpByClientId: boolean;
  /**
   * A timer at the exchange that cancels a silent bot's entries and spares stops. On Bybit it is not used: its "disconnect
   * cancel all" cancels every active order of the account after the private stream's silence, stops of positions of other
   * bots included, and only institutional clients get it (https://bybit-exchange.github.io/docs/v5/order/dcp). What a bot
   * leaves behind there needs no timer: entries are market orders, which end at once, and every position has its stop.
   */
  readonly deadManTimer: boolean;
}

const NOTHING_PROVEN: Capabilities = {
  atomicProtection: false,
  lookUpByClientId: false,
  deadManTimer: false,
};

/** Where nothing is proven there is no adapter either. */
const CAPABILITIES: Readonly<Record<ExchangeName, Capabilities>> = {
  bybit: { atomicProtection: true, lookUpByClientId: true, deadManTimer: false },
  binance: NOTHING_PROVEN,
  kraken: NOTHING_PROVEN,
  coinbase: NOTHING_PROVEN,
  alpaca: NOTHING_PROVEN,
};

/** What a bot cannot do without, and the words for its absence. */
const REQUIRED: Readonly<Partial<Record<keyof Capabilities, string>>> = {
  atomicProtection: "that an entry carries its stop",
  lookUpByClientId: "that an order is found by its id",
};

export type Capability =
  | { readonly supported: true }
  | {
      readonly supported: false;
      readonly lacking: "exchange" | "symbol";
      readonly message: string;
    };

/** Whether a bot on `exchange` with these symbols can be run safely, else the sentence that its owner reads. */
export function capability(exchange: ExchangeName, symbols: readonly string[]): Capability {
  const proven: Readonly<Record<string, boolean>> = { ...CAPABILITIES[exchange] };
  const unproven = Object.entries(REQUIRED).flatMap(([name, what]) => (proven[name] ? [] : [what]));
  if (unproven.length > 0) {
    return {
      supported: false,
      lacking: "exchange",
      message: `${exchange} is not supported yet: it is not proven there ${unproven.join(", nor ")}; use bybit`,
    };
  }
  // On Bybit a stop is atomic with the entry on linear perpetuals only; those settled in USDT are proven.
  const other = symbols.find((symbol) => !symbol.endsWith("/USDT:USDT"));
  if (other !== undefined) {
    return {
      supported: false,
      lacking: "symbol",
      message: `${other} is not supported on ${exchange}: only USDT perpetuals such as BTC/USDT:USDT carry their stop with the entry`,
    };
  }
  return { supported: true };
}
