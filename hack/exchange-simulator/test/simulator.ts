import { bybit, pro } from "ccxt";
import type { Candle, CandleSeries } from "../candles.ts";
import { type ExchangeSimulator, startExchangeSimulator } from "../server.ts";

export const MINUTE_MS = 60_000;
/** 2025-06-20T00:00Z. */
export const REPLAY_START_MS = 1_750_377_600_000;
export const HISTORY_CANDLES = 60;
const FUTURE_CANDLES = 40;

export const SYMBOL = "ETH/USDT:USDT";
export const KEY = { apiKey: "test-key", apiSecret: "test-secret" };
export const BALANCE = "1000";

/** Open, high, low and close of one scripted candle. */
export type Prices = readonly [open: string, high: string, low: string, close: string];

const FLAT: Prices = ["2500.00", "2500.00", "2500.00", "2500.00"];

/** ETHUSDT at 2500 for an hour, then the scripted candles, then at the last close. */
export function scripted(future: readonly Prices[]): CandleSeries {
  const last = future.at(-1)?.[3] ?? FLAT[3];
  const rows = Array.from({ length: HISTORY_CANDLES + FUTURE_CANDLES }, (_, index): Prices => {
    if (index < HISTORY_CANDLES) return FLAT;
    return future[index - HISTORY_CANDLES] ?? [last, last, last, last];
  });
  const candles = rows.map(([open, high, low, close], index): Candle => {
    const start = REPLAY_START_MS + (index - HISTORY_CANDLES) * MINUTE_MS;
    return { start, open, high, low, close, volume: "1.25" };
  });
  return { symbol: "ETHUSDT", intervalMs: MINUTE_MS, candles };
}

/** A simulator in lockstep over scripted candles, with one key of 1,000 USDT. */
export async function startScripted(future: readonly Prices[]): Promise<ExchangeSimulator> {
  const simulator = await startExchangeSimulator({
    candles: [scripted(future)],
    historyCandles: HISTORY_CANDLES,
    speed: "lockstep",
    seed: 1,
  });
  simulator.control.addKey({ ...KEY, balance: BALANCE });
  return simulator;
}

interface ClientOptions {
  readonly apiKey?: string;
  readonly apiSecret?: string;
  readonly timestampOffsetMs?: number;
  readonly options?: Readonly<Record<string, unknown>>;
}

/** An unmodified ccxt client: only its URLs point at the simulator. */
export function clientOf(simulator: ExchangeSimulator, changes: ClientOptions = {}): bybit {
  const client = new bybit({
    apiKey: changes.apiKey ?? KEY.apiKey,
    secret: changes.apiSecret ?? KEY.apiSecret,
    enableRateLimit: false,
    options: { fetchMarkets: { types: ["linear"] }, ...changes.options },
  });
  client.urls["api"] = { public: simulator.url, private: simulator.url };
  const offsetMs = changes.timestampOffsetMs ?? 0;
  if (offsetMs !== 0) client.nonce = () => Date.now() + offsetMs;
  return client;
}

/** An unmodified ccxt.pro client: only its URLs point at the simulator. */
export async function streamingClientOf(simulator: ExchangeSimulator) {
  const client = new pro.bybit({
    apiKey: KEY.apiKey,
    secret: KEY.apiSecret,
    enableRateLimit: false,
    options: {
      fetchMarkets: { types: ["linear"] },
      // From the stream alone: otherwise its first answer comes from REST.
      watchPositions: { fetchPositionsSnapshot: false },
    },
  });
  // ccxt wants it for every ws:// address, with a proxy or without.
  await client.loadHttpProxyAgent();
  const { url, websocketUrl, privateWebsocketUrl } = simulator;
  client.urls["api"] = {
    public: url,
    private: url,
    ws: {
      public: { linear: websocketUrl },
      private: { spot: { unified: privateWebsocketUrl }, contract: privateWebsocketUrl },
    },
  };
  return client;
}
