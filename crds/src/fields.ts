import * as z from "zod";

/** An exact amount as text: no exponent, no leading plus; at most 40 characters. */
export const DecimalString = z
  .string()
  .max(40)
  .regex(/^-?[0-9]+(\.[0-9]+)?$/);

/** RFC 3339 time; the API server checks the format. */
export const Timestamp = z.string().max(35).meta({ format: "date-time" });

const USER_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
export const UserId = z.string().max(36).regex(USER_ID);

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
/** A name that the API server accepts for a pod and a label value. */
export const DnsLabel = z.string().max(63).regex(DNS_LABEL);

export const Exchange = z
  .enum(["bybit", "binance", "kraken", "coinbase", "alpaca"])
  .describe(
    "Bots trade on bybit only so far; on another one a bot opens nothing and says Unsupported.",
  );
export type Exchange = z.infer<typeof Exchange>;

export const Mode = z.enum(["paper", "testnet", "live"]);
export type Mode = z.infer<typeof Mode>;

export const BotState = z.enum(["Running", "Paused", "Stopped", "Retired"]);
export type BotState = z.infer<typeof BotState>;

export const HaltAction = z.enum(["BlockEntries", "CancelOrders", "Flatten"]);
export type HaltAction = z.infer<typeof HaltAction>;

export const Timeframe = z.enum(["1m", "3m", "5m", "15m", "30m", "1h", "4h", "1d"]);
export type Timeframe = z.infer<typeof Timeframe>;

const MARKET_SYMBOL = /^[A-Z0-9]{1,20}\/[A-Z0-9]{1,10}(:[A-Z0-9]{1,10})?$/;
/** ccxt's unified symbol: `BTC/USDT` spot, `BTC/USDT:USDT` linear perpetual. */
export const MarketSymbol = z
  .string()
  .max(40)
  .regex(MARKET_SYMBOL, {
    error: ({ input }) => `must be written like ${spelling(input)}`,
  });

/** As the exchange itself writes it most people do. */
function spelling(input: unknown): string {
  const pair = /^([A-Z0-9]{1,20}?)[-_/]?USDT(\.P)?$/i.exec(String(input))?.[1];
  return `${pair?.toUpperCase() ?? "BTC"}/USDT:USDT`;
}

/** The same of a string in a rule of the Common Expression Language, where a field is one or another of them. */
export const PATTERNS = {
  userId: USER_ID.source,
  dnsLabel: DNS_LABEL.source,
  marketSymbol: MARKET_SYMBOL.source,
} as const;

export const Condition = z.object({
  type: z.string().max(64),
  status: z.enum(["True", "False", "Unknown"]),
  reason: z.string().max(64),
  message: z.string().max(1024),
  lastTransitionTime: Timestamp,
  observedGeneration: z.int().min(0).optional(),
});
export type Condition = z.infer<typeof Condition>;

export const Conditions = z
  .array(Condition)
  .max(16)
  .meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"] });
