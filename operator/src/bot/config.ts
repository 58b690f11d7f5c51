import type { BotConfig, BotState, HaltAction } from "@tradingbots/crds";
import { connectedId } from "../account/account-view.ts";
import type { HaltView } from "../halt/halt-view.ts";
import { symbolsOf } from "../halt/scope.ts";
import { endpointOf } from "../pod-parts.ts";
import type { BotFacts } from "./facts.ts";

/** The schema's limit. A halt that is cut off is not told, so its status names the bot as one that has not acknowledged it. */
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
    halts: mostTelling(halts).map((halt) => ({
      name: halt.name,
      uid: halt.uid,
      action: halt.spec.action,
      symbols: symbolsOf(halt),
    })),
  };
}

/**
 * As many halts as fit. Those that ask for something that no stronger one does come first: at most one for all symbols and one
 * for each symbol, so that what is cut off changes nothing.
 */
function mostTelling(halts: readonly HaltView[]): readonly HaltView[] {
  const covered = new Set<string>();
  const needed: HaltView[] = [];
  const others: HaltView[] = [];
  for (const halt of halts.toSorted(byStrength)) {
    const symbols = symbolsOf(halt) ?? [ALL];
    const isCovered = covered.has(ALL) || symbols.every((symbol) => covered.has(symbol));
    (isCovered ? others : needed).push(halt);
    for (const symbol of symbols) covered.add(symbol);
  }
  return [...needed, ...others].slice(0, HALTS_MAX);
}

/** Stands for all symbols; no symbol is written so. */
const ALL = "*";

function byStrength(a: HaltView, b: HaltView): number {
  return rank(a) - rank(b) || (a.name < b.name ? -1 : 1);
}

/** The strongest first; of the same action those for all symbols. */
function rank(halt: HaltView): number {
  return 2 * STRENGTH[halt.spec.action] + (symbolsOf(halt) === null ? 0 : 1);
}
