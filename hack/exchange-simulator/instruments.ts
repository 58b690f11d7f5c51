import { Decimal } from "./money.ts";

/** Trading rules of one linear perpetual. Prices and the tick are in USDT, quantities and the step in the base coin. */
export interface Instrument {
  readonly symbol: string;
  readonly baseCoin: string;
  readonly tickSize: Decimal;
  readonly quantityStep: Decimal;
  readonly minimumQuantity: Decimal;
  readonly maximumQuantity: Decimal;
  readonly maximumMarketQuantity: Decimal;
  readonly maximumPrice: Decimal;
  readonly maximumLeverage: Decimal;
  readonly launchMs: number;
}

/** Least value of an opening order, in USDT. */
export const MINIMUM_ORDER_VALUE = new Decimal(5);
/** Bybit's fees for tier "No VIP", as shares of the executed value. */
export const TAKER_FEE_RATE = new Decimal("0.00055");
export const MAKER_FEE_RATE = new Decimal("0.0002");
/** Share of a position's value that Bybit asks as maintenance margin in the lowest risk tier. */
export const MAINTENANCE_MARGIN_RATE = new Decimal("0.005");
export const DEFAULT_LEVERAGE = new Decimal(10);

// Recorded from Bybit's /v5/market/instruments-info in mid-2025.
const instruments: readonly Instrument[] = [
  {
    symbol: "BTCUSDT",
    baseCoin: "BTC",
    tickSize: new Decimal("0.1"),
    quantityStep: new Decimal("0.001"),
    minimumQuantity: new Decimal("0.001"),
    maximumQuantity: new Decimal("1190"),
    maximumMarketQuantity: new Decimal("119"),
    maximumPrice: new Decimal("1999999.8"),
    maximumLeverage: new Decimal(100),
    launchMs: 1_584_230_400_000,
  },
  {
    symbol: "ETHUSDT",
    baseCoin: "ETH",
    tickSize: new Decimal("0.01"),
    quantityStep: new Decimal("0.01"),
    minimumQuantity: new Decimal("0.01"),
    maximumQuantity: new Decimal("7240"),
    maximumMarketQuantity: new Decimal("724"),
    maximumPrice: new Decimal("199999.98"),
    maximumLeverage: new Decimal(100),
    launchMs: 1_615_766_400_000,
  },
];

/** The rules of `symbol`; throws for a symbol that the simulator has none for. */
export function instrumentOf(symbol: string): Instrument {
  const instrument = instruments.find((candidate) => candidate.symbol === symbol);
  if (instrument === undefined) {
    const known = instruments.map((candidate) => candidate.symbol).join(", ");
    throw new Error(`no trading rules for ${symbol}: the simulator knows ${known}`);
  }
  return instrument;
}
