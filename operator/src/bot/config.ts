import type { BotConfig, BotState, HaltAction } from "@tradingbots/crds";
import { connectedId } from "../account/account-view.ts";
import type { HaltView } from "../halt/halt-view.ts";
import { symbolsOf } from "../halt/scope.ts";
import { endpointOf } from "../pod-parts.ts";
import type { BotFacts } from "./facts.ts";

/** The schema's limit. The strongest halts come first: what is cut off asks for nothing that the others do not. */
const HALTS_MAX = 64;
const STRENGTH: Readonly<Record<HaltAction, number>> = {
  Flatten: 0,
  CancelOrders: 1,
  BlockEntries: 2,
};

/** What the bot is told. `state` is what it shall do now, which may be less than its specification asks for. */
export function botConfig(facts: BotFacts, state: BotState): BotConfig {
  const { account, bot, botClass, pod, halts } = facts;
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
    exchangeAccountId: (account && connectedId(account)) ?? null,
    halts: halts
      .toSorted(byStrength)
      .slice(0, HALTS_MAX)
      .map((halt) => ({
        name: halt.name,
        action: halt.spec.action,
        symbols: symbolsOf(halt),
      })),
  };
}

function byStrength(a: HaltView, b: HaltView): number {
  const difference = STRENGTH[a.spec.action] - STRENGTH[b.spec.action];
  return difference === 0 ? (a.name < b.name ? -1 : 1) : difference;
}
