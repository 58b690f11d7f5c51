import { keyOf } from "@tradingbots/kube";
import type { ClusterView } from "../cluster-view.ts";
import { conditionOf } from "../conditions.ts";
import type { HaltView } from "../halt/halt-view.ts";
import { concerns, isInForce } from "../halt/scope.ts";
import { type Clock, isStale, type Reports } from "../reports.ts";
import { type BotView, byAge } from "./bot-view.ts";
import type { BotFacts, Refusal, ReportFact } from "./facts.ts";
import { isFinalReason } from "./flatness.ts";
import { isForeign } from "./foreign-pod.ts";
import { type Restarts, restartsBefore } from "./restart.ts";
import { serviceAccountName } from "./service-account.ts";

export interface ObserveDeps {
  readonly cluster: Pick<
    ClusterView,
    "bots" | "accounts" | "classes" | "halts" | "pods" | "cordonedNodes" | "serviceAccounts"
  >;
  /** Where the cluster admits pods of some classes only: those, and the one that stands in for the others. */
  readonly release?:
    | { readonly classes: ReadonlySet<string>; readonly standIn: string }
    | undefined;
  readonly reports: Reports;
  /** The API server's refusals, by key of the bot. */
  readonly refusals: ReadonlyMap<string, Refusal>;
  /** Pods that ended unasked, by key of the bot. */
  readonly restarts: ReadonlyMap<string, Restarts>;
  readonly now: () => Date;
  readonly clock: Clock;
}

/** Gathers what a decision about the bot needs. Reads memory only. */
export function observeBot(bot: BotView, deps: ObserveDeps): BotFacts {
  const { cluster } = deps;
  const now = deps.now();
  const clockMs = deps.clock();
  const { namespace } = bot;
  const pod = cluster.pods.get(bot.key);
  return {
    bot,
    account: bot.accountKey === undefined ? undefined : cluster.accounts.store.get(bot.accountKey),
    botClass: cluster.classes.store.get(bot.spec.className),
    formerClass: formerClassOf(bot, deps),
    pod,
    drainingNode: cluster.cordonedNodes.store.get(pod?.nodeName ?? "")?.name,
    restarts: restartsBefore(deps.restarts.get(bot.key), pod?.uid),
    hasServiceAccount:
      cluster.serviceAccounts.get(keyOf({ namespace, name: serviceAccountName(bot) })) !==
      undefined,
    halts: [...cluster.halts.store.views()]
      .filter((halt) => isInForce(halt, now) && concernsNow(halt, bot, deps))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    symbolHolder: symbolHolderOf(bot, deps),
    olderBotsOfUser: countOlderBots(bot, cluster.bots.store.find("user", bot.spec.userId)),
    report: reportOf(bot, deps.reports, clockMs),
    refusal: deps.refusals.get(bot.key),
    now,
    clockMs,
  };
}

function formerClassOf(bot: BotView, { release, cluster }: ObserveDeps): BotFacts["formerClass"] {
  if (release === undefined || release.classes.has(bot.spec.className)) return undefined;
  return { standIn: cluster.classes.store.get(release.standIn) };
}

/**
 * Whether the halt concerns the bot, by what it shall trade and by what it last said that it has open. What was told stays: a
 * symbol that left the specification may be closed by the halt itself, and an operator that has just started has heard nothing.
 */
export function concernsNow(
  halt: HaltView,
  bot: BotView,
  { reports, cluster }: Pick<ObserveDeps, "reports" | "cluster">,
): boolean {
  if (concerns(halt, bot, reports.latest(bot.key)?.report.openSymbols)) return true;
  const pod = cluster.pods.get(bot.key);
  const wasTold = pod?.toldHalts.includes(halt.uid) === true && !isForeign({ bot, pod });
  return wasTold || bot.pausedByHalts.includes(halt.uid);
}

/** What is known of how far a bot has come: the pod of its name and what it said last. Cheap enough for a hundred thousand bots. */
export function observeProgress(
  bot: BotView,
  { cluster, reports, refusals, clock }: ObserveDeps,
): Pick<BotFacts, "bot" | "pod" | "report" | "refusal" | "clockMs"> {
  const clockMs = clock();
  return {
    bot,
    pod: cluster.pods.get(bot.key),
    report: reportOf(bot, reports, clockMs),
    refusal: refusals.get(bot.key),
    clockMs,
  };
}

/** A bot with a pod goes before one without, whatever their age: what trades is not pushed out by what would like to. */
function symbolHolderOf(bot: BotView, { cluster }: ObserveDeps): BotFacts["symbolHolder"] {
  if (bot.accountKey === undefined) return undefined;
  const hasPod = (other: BotView) => cluster.pods.get(other.key) !== undefined;
  for (const other of cluster.bots.store.find("account", bot.accountKey)) {
    const symbol = other.spec.symbols.find((each) => bot.spec.symbols.includes(each));
    if (other.key === bot.key || symbol === undefined) continue;
    if (other.spec.userId !== bot.spec.userId) continue; // it may not trade on the account, whatever it wants
    const mayTrade = hasPod(other) || wantsToTrade(other) || mayHoldPosition(other);
    if (!mayTrade) continue;
    const goesFirst = hasPod(other) === hasPod(bot) ? byAge(other, bot) < 0 : hasPod(other);
    if (goesFirst) return { name: other.name, symbol };
  }
  return undefined;
}

function wantsToTrade(bot: BotView): boolean {
  return bot.spec.state === "Running" && !bot.isDeleting;
}

function mayHoldPosition(bot: BotView): boolean {
  const recorded = conditionOf(bot.status.conditions, "Flat");
  return recorded !== undefined && !isFinalReason(recorded.reason);
}

/**
 * Of the same user's bots, those in the bot's class that go before it. One that shall end keeps its place until it is gone: its pod
 * may still run, and its user could make any number of them.
 */
export function countOlderBots(bot: BotView, others: Iterable<BotView>): number {
  let count = 0;
  for (const other of others) {
    const sameClass = other.spec.className === bot.spec.className;
    if (sameClass && other.key !== bot.key && byAge(other, bot) < 0) count++;
  }
  return count;
}

function reportOf(bot: BotView, reports: Reports, clockMs: number): ReportFact {
  if (!reports.isHeard()) return { kind: "unheard" };
  const latest = reports.latest(bot.key);
  if (latest === undefined) return { kind: "none" };
  return { kind: isStale(latest, clockMs) ? "stale" : "fresh", latest };
}
