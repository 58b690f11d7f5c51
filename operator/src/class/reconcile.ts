import type { ObserveDeps } from "../bot/observe.ts";
import type { ClusterWrites } from "../cluster-writes.ts";
import { mergePatch } from "./merge-patch.ts";
import { lacksWitness, planRollout, soakLeftMs } from "./plan-rollout.ts";
import type { Tally } from "./plan-wave.ts";
import { classStatus } from "./status.ts";
import { tallyOf } from "./tally.ts";

export interface ClassDeps extends ObserveDeps {
  readonly writes: Pick<ClusterWrites, "patchClassStatus">;
  /** For metrics alone: the last count of each class whose rollout is under way. */
  readonly tallies: Map<string, Tally>;
}

/** How long a bot that nobody tells of is not looked at: reports, deferrals that end, pods that take too long. */
const LOOK_MS = 2_000;
/** Where nothing runs, a pod that comes up tells of itself. */
const IDLE_LOOK_MS = 30_000;

/** Moves the class's rollout on by one step. The bots follow its status through their own reconciliation. */
export async function reconcileClass(
  name: string,
  deps: ClassDeps,
): Promise<{ readonly requeueAfterMs?: number | undefined }> {
  const botClass = deps.cluster.classes.store.get(name);
  if (botClass === undefined) {
    deps.tallies.delete(name);
    return {};
  }
  const tally = botClass.rollout.target && (await tallyOf(botClass, deps));
  const now = deps.now();
  const rollout = planRollout({ botClass, tally, now });
  if (tally === undefined || rollout.target === undefined) deps.tallies.delete(name);
  else deps.tallies.set(name, tally);
  const change = mergePatch(botClass.status, classStatus(botClass, rollout, now));
  if (change !== undefined) await deps.writes.patchClassStatus(botClass, change);
  if (rollout.target === undefined) return {};
  const hasMoved = rollout.reach !== botClass.status.rollout?.reach;
  if (hasMoved) return { requeueAfterMs: 0 };
  if (lacksWitness(rollout)) return { requeueAfterMs: IDLE_LOOK_MS };
  const soakMs = soakLeftMs(rollout, { botClass, now });
  return { requeueAfterMs: soakMs > 0 ? Math.min(soakMs, LOOK_MS) : LOOK_MS };
}
