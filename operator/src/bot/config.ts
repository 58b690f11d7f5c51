import type { BotConfig, BotState } from "@tradingbots/crds";
import { endpointOf } from "../pod-parts.ts";
import type { BotFacts } from "./facts.ts";

/** The schema's limit. One halt is enough to block entries. */
const HALTS_MAX = 64;

/** What the bot is told. `state` is what it shall do now, which may be less than its specification asks for. */
export function botConfig(facts: BotFacts, state: BotState): BotConfig {
  const { bot, botClass, pod, halts } = facts;
  const { spec } = bot;
  return {
    botName: bot.name,
    botUid: bot.uid,
    namespace: bot.namespace,
    generation: bot.generation,
    userId: spec.userId,
    accountName: spec.accountName ?? null,
    exchange: spec.exchange,
    mode: spec.mode,
    symbols: spec.symbols,
    timeframe: spec.timeframe,
    strategy: spec.strategy,
    risk: spec.risk,
    autoTrade: spec.autoTrade,
    state,
    // A pod whose class is gone keeps its endpoint: null would send it from a testnet or simulator to the real exchange.
    endpoint:
      botClass === undefined ? (pod?.endpoint ?? null) : endpointOf(botClass, spec.exchange),
    exchangeAccountId: null,
    // Every halt blocks entries and does nothing else yet: a bot is told no scope, so it would close more than was asked.
    halts: halts
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .slice(0, HALTS_MAX)
      .map(({ name }) => ({ name, action: "BlockEntries", symbols: null })),
  };
}
