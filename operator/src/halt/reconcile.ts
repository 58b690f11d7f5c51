import type { BotView } from "../bot/bot-view.ts";
import type { ClusterView } from "../cluster-view.ts";
import type { ClusterWrites } from "../cluster-writes.ts";
import { statusDifference } from "../conditions.ts";
import type { Reports } from "../reports.ts";
import type { HaltView } from "./halt-view.ts";
import { concerns, isInForce, untilFirstExpiry } from "./scope.ts";
import { haltStatus } from "./status.ts";

export interface HaltDeps {
  readonly cluster: Pick<ClusterView, "bots" | "halts" | "pods">;
  readonly reports: Reports;
  readonly writes: Pick<ClusterWrites, "halts">;
  readonly now: () => Date;
}

/** Counts who obeys a halt. Bots learn of it through their own reconciliation, not through this one. */
export async function reconcileHalt(
  name: string,
  deps: HaltDeps,
): Promise<{ readonly requeueAfterMs?: number | undefined }> {
  const halt = deps.cluster.halts.store.get(name);
  if (halt === undefined) return {};
  const now = deps.now();
  const inForce = isInForce(halt, now);
  const matched = inForce ? matchedBots(halt, deps) : [];
  const status = haltStatus({
    halt,
    isInForce: inForce,
    matched: matched.map(({ key }) => key),
    acknowledged: new Set(
      matched.filter((bot) => hasAcknowledged(halt, bot, deps)).map(({ key }) => key),
    ),
    now,
  });
  const difference = statusDifference(halt.status, status);
  if (difference !== undefined) await deps.writes.halts.patchStatus(halt, difference);
  return { requeueAfterMs: inForce ? untilFirstExpiry([halt], now) : undefined };
}

function matchedBots(halt: HaltView, { cluster }: HaltDeps): readonly BotView[] {
  const matched: BotView[] = [];
  for (const bot of cluster.bots.store.views()) {
    if (!concerns(halt, bot)) continue;
    const pod = cluster.pods.get(bot.key);
    if (pod !== undefined && pod.ownerUid === bot.uid && pod.end === undefined) matched.push(bot);
  }
  return matched;
}

function hasAcknowledged(halt: HaltView, bot: BotView, { cluster, reports }: HaltDeps): boolean {
  const latest = reports.latest(bot.key);
  const isOfThisPod = latest?.podUid === cluster.pods.get(bot.key)?.uid;
  return isOfThisPod && latest?.report.halts.includes(halt.name) === true;
}
