import type { BotConfig, BotState, HaltAction } from "@tradingbots/crds";
import { connectedId } from "../account/account-view.ts";
import { isFailing, turnOf } from "../class/turn.ts";
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

/** A configuration before the bot has filled in its defaults. */
export type ToldConfig = Omit<BotConfig, "requests"> & Partial<Pick<BotConfig, "requests">>;

/** What the bot is told. `state` is what it shall do now, which may be less than its specification asks for. */
export function botConfig(facts: BotFacts, state: BotState): ToldConfig {
  const { account, bot, halts } = facts;
  const { spec } = bot;
  return {
    botName: bot.name,
    botUid: bot.uid,
    namespace: bot.namespace,
    generation: bot.generation,
    userId: spec.userId,
    accountName: spec.accountName ?? null,
    exchange: spec.exchange,
    symbols: spec.symbols,
    timeframe: spec.timeframe,
    strategy: spec.strategy,
    risk: spec.risk,
    autoTrade: spec.autoTrade,
    state,
    ...(venueOfPod(facts) ?? wantedVenue(facts)),
    exchangeAccountId: (account && connectedId(account)) ?? null,
    halts: mostTelling(halts).map((halt) => ({
      name: halt.name,
      uid: halt.uid,
      action: halt.spec.action,
      symbols: symbolsOf(halt),
    })),
    // Absent when there are none, or a release that knows of requests would write every pod's annotation anew.
    ...(spec.requests === undefined ? {} : { requests: spec.requests }),
  };
}

/** Where orders go. */
type Venue = Pick<BotConfig, "mode" | "endpoint">;
type VenueFacts = Pick<BotFacts, "bot" | "botClass" | "pod">;

/** A pod that lives stays where it was started: what it has open is there, and its process has no other connections. */
function venueOfPod({ pod }: VenueFacts): Venue | undefined {
  if (pod?.mode === undefined) return undefined;
  return { mode: pod.mode, endpoint: pod.endpoint };
}

function wantedVenue({ bot: { spec, uid }, botClass }: VenueFacts): Venue {
  const endpoint =
    botClass === undefined ? null : endpointOf(turnOf(botClass, uid).template, spec.exchange);
  return { mode: spec.mode, endpoint };
}

/**
 * The pod was started for another place than the bot is to trade at now. An address comes in the bot's turn of its class's rollout; a
 * failing pod waits for none. Without its class nobody knows that place.
 */
export function hasMoved(facts: VenueFacts): boolean {
  const { bot, botClass, pod } = facts;
  if (pod?.mode === undefined || botClass === undefined) return false;
  const { mode, endpoint } = wantedVenue(facts);
  const isInTurn = turnOf(botClass, bot.uid).isDue || isFailing(pod);
  return pod.mode !== mode || (isInTurn && !isSameEndpoint(pod.endpoint, endpoint));
}

function isSameEndpoint(a: Venue["endpoint"], b: Venue["endpoint"]): boolean {
  return a?.restUrl === b?.restUrl && a?.websocketUrl === b?.websocketUrl;
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
