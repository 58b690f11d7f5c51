import { inTurns } from "@tradingbots/kube";
import { concernsNow, observeProgress, type ObserveDeps } from "../bot/observe.ts";
import type { ClusterWrites } from "../cluster-writes.ts";
import { isSameStatus } from "../conditions.ts";
import type { HaltView } from "./halt-view.ts";
import { progressOf } from "./progress.ts";
import { isInForce, untilFirstExpiry } from "./scope.ts";
import { haltStatus, type MatchedBot } from "./status.ts";

export interface HaltDeps extends ObserveDeps {
  readonly writes: Pick<ClusterWrites, "halts">;
}

/** What a bot said ages without a word: it is counted again. */
const RECOUNT_MS = 10_000;

/** Counts who obeys a halt and who is done. Bots learn of it through their own reconciliation, not through this one. */
export async function reconcileHalt(
  name: string,
  deps: HaltDeps,
): Promise<{ readonly requeueAfterMs?: number | undefined }> {
  const halt = deps.cluster.halts.store.get(name);
  if (halt === undefined) return {};
  const now = deps.now();
  const inForce = isInForce(halt, now);
  const matched = inForce ? await matchedBots(halt, deps) : [];
  const status = haltStatus({ halt, isInForce: inForce, matched, now });
  if (!isSameStatus(halt.status, status)) await deps.writes.halts.replaceStatus(halt, status);
  const untilEndMs = untilFirstExpiry([halt], now) ?? RECOUNT_MS;
  return { requeueAfterMs: inForce ? Math.min(untilEndMs, RECOUNT_MS) : undefined };
}

async function matchedBots(halt: HaltView, deps: HaltDeps): Promise<readonly MatchedBot[]> {
  const matched: MatchedBot[] = [];
  await inTurns(deps.cluster.bots.store.views(), (bot) => {
    if (!concernsNow(halt, bot, deps)) return;
    matched.push({ key: bot.key, ...progressOf(halt, observeProgress(bot, deps)) });
  });
  return matched;
}
