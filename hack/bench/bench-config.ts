import { createHash } from "node:crypto";
import { BotConfig, Risk } from "@tradingbots/crds";
import { exampleConfig } from "../../bot-runtime/src/bot/example-config.ts";
import type { ExchangeKeyValues } from "../../bot-runtime/src/exchange/exchange.ts";

interface Endpoint {
  readonly restUrl: string;
  readonly websocketUrl: string;
}

/** A live bot that wants to trade at nearly every candle: the shortest index there is, with thresholds beside each other. */
export function busyConfig(name: string, symbol: string, endpoint: Endpoint): BotConfig {
  const hash = createHash("sha256").update(name).digest("hex");
  const uid = [hash.slice(0, 8), hash.slice(8, 12), "4000", "8000", hash.slice(12, 24)].join("-");
  return BotConfig.parse({
    ...exampleConfig,
    botName: `bot-${hash.slice(0, 20)}`,
    botUid: uid,
    symbols: [symbol],
    strategy: { name: "rsi", params: { period: 2, buyBelow: 49, sellAbove: 51 } },
    risk: Risk.parse({
      leverage: 2,
      stopLossPercent: 20,
      takeProfitPercent: 20,
      dailyLossPercent: 100,
      maxConsecutiveErrors: 100,
    }),
    endpoint,
  });
}

export function keyOf(apiKey: string): ExchangeKeyValues {
  return { reveal: () => ({ apiKey, apiSecret: `${apiKey}-secret` }), scrub: (text) => text };
}
