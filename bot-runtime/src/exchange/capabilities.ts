import type { Exchange as ExchangeName } from "@tradingbots/crds";

/** What the conformance suite has proven of an exchange through its adapter. Only what is proven may be relied on. */
interface Capabilities {
  /** Stop and target are part of the entry's own request, so there is no moment without them. */
  readonly atomicProtection: boolean;
  /** Orders can be found by the client's id, open or over. */
  readonly lookUpByClientId: boolean;
  /**
   * A timer at the exchange that cancels a silent bot's entries and spares stops. On Bybit it is not used: its "disconnect
   * cancel all" cancels every active order of the account after the private stream's silence, stops of positions of other
   * bots included, and only institutional clients get it (https://bybit-exchange.github.io/docs/v5/order/dcp). What a bot
   * leaves behind there needs no timer: entries are market orders, which end at once, and every position has its stop.
   */
  readonly deadManTimer: boolean;
}

const PROVEN: Readonly<Partial<Record<ExchangeName, Capabilities>>> = {
  bybit: { atomicProtection: true, lookUpByClientId: true, deadManTimer: false },
};

export type Capability =
  | { readonly supported: true; readonly capabilities: Capabilities }
  | { readonly supported: false; readonly message: string };

/** Whether a bot on `exchange` with these symbols can be run safely, else the sentence that its owner reads. */
export function capability(exchange: ExchangeName, symbols: readonly string[]): Capability {
  const capabilities = PROVEN[exchange];
  if (capabilities === undefined) {
    return {
      supported: false,
      message: `${exchange} is not supported yet: its orders cannot be proven safe; use bybit`,
    };
  }
  // On Bybit a stop is atomic with the entry on linear perpetuals only; those settled in USDT are proven.
  const other = symbols.find((symbol) => !symbol.endsWith("/USDT:USDT"));
  if (other !== undefined) {
    return {
      supported: false,
      message: `${other} is not supported on ${exchange}: only USDT perpetuals such as BTC/USDT:USDT carry their stop with the entry`,
    };
  }
  return { supported: true, capabilities };
}
