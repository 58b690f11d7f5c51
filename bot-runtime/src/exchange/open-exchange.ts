import { type BotConfig, capability } from "@tradingbots/crds";
import type { Exchange, ExchangeKeyValues } from "./exchange.ts";
import { createHttpClient } from "../http-client.ts";
import { bybitPublic } from "./bybit-public.ts";
import { readExchangeKey } from "./exchange-key.ts";
import { loadExchange } from "./exchange-loader.ts";
import { PaperExchange } from "./paper-exchange.ts";

const PUBLIC_STREAM = "wss://stream.bybit.com/v5/public/linear";
const TESTNET_STREAM = "wss://stream-testnet.bybit.com/v5/public/linear";
const PRIVATE_PATH = "/v5/private";

/** A paper bot needs its exchange to be shown the stream and the journal's memory. */
export interface OpenedExchange {
  readonly exchange: Exchange;
  readonly paper: PaperExchange | undefined;
  /** For the account's private stream; undefined where there is none to follow. */
  readonly key: ExchangeKeyValues | undefined;
}

/** The exchange that a bot trades on: play money over public data, or the real one with the account's key. */
export async function openBotExchange(
  config: BotConfig,
  credentialsFile: string,
): Promise<OpenedExchange> {
  if (config.mode !== "paper") {
    const exchange = await openExchange(config, credentialsFile);
    const { supported } = capability(config.exchange, []);
    const key = supported ? await readExchangeKey(credentialsFile) : undefined;
    return { exchange, paper: undefined, key };
  }
  const paper = new PaperExchange(
    bybitPublic(createHttpClient(), config.endpoint?.restUrl),
    Date.now,
    config.risk.leverage,
  );
  return { exchange: paper, paper, key: undefined };
}

/** The exchange with an account's key. */
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

/** Address of the account's private stream: beside the public one. */
export function orderStreamUrl(config: BotConfig): string {
  return new URL(PRIVATE_PATH, streamUrl(config)).href;
}

/** Stands where no adapter can: the bot says why and trades nothing. */
function refusingExchange(message: string): Exchange {
  const refuse = (): never => {
    throw new Error(message);
  };
  return {
    prepare: refuse,
    market: refuse,
    delisted: refuse,
    candles: refuse,
    balance: refuse,
    position: refuse,
    openOrders: refuse,
    findOrder: refuse,
    executions: refuse,
    urgent: { position: refuse, openOrders: refuse, findOrder: refuse, executions: refuse },
    setLeverage: refuse,
    submitEntry: refuse,
    submitExit: refuse,
    cancel: refuse,
    cancelPlaced: refuse,
    protect: refuse,
    describeKey: refuse,
    clock: () => undefined,
  };
}
