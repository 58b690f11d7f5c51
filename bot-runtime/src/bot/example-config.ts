import { BotConfig, Risk } from "@tradingbots/crds";

/** A live bot for tests and benchmarks; each says what is different about its own. */
export const exampleConfig: BotConfig = BotConfig.parse({
  botName: "bot-aaaaaaaaaaaaaaaaaaaa",
  botUid: "5f0c5bb8-8e2b-4a5c-9d8e-2f1a3b4c5d6e",
  namespace: "tradingbots-00",
  generation: 1,
  userId: "7a1b2c3d-4e5f-4061-8293-a4b5c6d7e8f9",
  accountName: "acct-aaaaaaaaaaaaaaaaaaaa",
  exchange: "bybit",
  mode: "live",
  symbols: ["BTC/USDT:USDT"],
  timeframe: "1m",
  strategy: { name: "rsi", params: { period: 2 } },
  risk: Risk.parse({}),
  autoTrade: true,
  state: "Running",
  endpoint: null,
  halts: [],
});
