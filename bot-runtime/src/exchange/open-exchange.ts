import type { BotConfig } from "@tradingbots/crds";
import type { Exchange } from "./exchange.ts";
import { capability } from "./capabilities.ts";
import { readExchangeKey } from "./exchange-key.ts";
import { loadExchange } from "./exchange-loader.ts";

const PUBLIC_STREAM = "wss://stream.bybit.com/v5/public/linear";
const TESTNET_STREAM = "wss://stream-testnet.bybit.com/v5/public/linear";

/** The exchange of a testnet or live bot, with its key. */
export async function openExchange(
  config: Pick<BotConfig, "exchange" | "mode" | "endpoint">,
  credentialsFile: string,
): Promise<Exchange> {
  const support = capability(config.exchange, []);
  if (!support.supported) return refusingExchange(support.message);
  const createExchange = await loadExchange(config.exchange);
  const key = await readExchangeKey(credentialsFile);
  return createExchange({
    key,
    testnet: config.mode === "testnet",
    restUrl: config.endpoint?.restUrl,
  });
}

/** Address of the public candle stream. */
export function streamUrl(config: BotConfig): string {
  if (config.endpoint !== null) return config.endpoint.websocketUrl;
  return config.mode === "testnet" ? TESTNET_STREAM : PUBLIC_STREAM;
}

/** Stands where no adapter can: the bot says why and trades nothing. */
function refusingExchange(message: string): Exchange {
  const refuse = (): never => {
    throw new Error(message);
  };
  return {
    prepare: refuse,
    market: refuse,
    candles: refuse,
    balance: refuse,
    position: refuse,
    openOrders: refuse,
    findOrder: refuse,
    executions: refuse,
    setLeverage: refuse,
    submitEntry: refuse,
    submitExit: refuse,
    cancel: refuse,
    protect: refuse,
    describeKey: refuse,
  };
}
