import { SLOTS } from "@tradingbots/crds";
import type { BotView } from "../bot/bot-view.ts";
import type { Flatness } from "../bot/flatness.ts";
import type { ClassView } from "../class-view.ts";
import { conditionOf } from "../conditions.ts";
import type { PodView } from "../pod-view.ts";
import type { HashedTemplate } from "./pod-template.ts";

/** What the class's rollout means for one bot. */
export interface Turn {
  /** What a pod that is made now is made from. */
  readonly template: HashedTemplate;
  /** A healthy pod of another template is replaced now; a failing one always is. */
  readonly isDue: boolean;
  /** An open position keeps its bot's pod for a while. */
  readonly defers: boolean;
}

/** A position may last for days; a pod that is replaced leaves its stop at the exchange, and the next one takes it up. */
export const DEFERRAL_MAX_MS = 3_600_000;

/** The bot's turn comes by its slot alone, so that a hundred thousand bots need one number in the class's status. */
export function turnOf({ rollout, spec }: ClassView, uid: string): Turn {
  const { target, stable, reach, direction } = rollout;
  const defers = spec.rollout.deferWhilePositionOpen;
  if (target === undefined) return { template: stable, isDue: true, defers: false };
  const hasTarget = slotOf(uid) < reach;
  if (direction === "Back") return { template: stable, isDue: !hasTarget, defers };
  return { template: hasTarget ? target : stable, isDue: hasTarget, defers };
}

/** A bot's place in the order of rollouts: from 0 to 2^32 − 1, the same for ever (FNV-1a of its uid). */
export function slotOf(uid: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < uid.length; index++) {
    hash = Math.imul(hash ^ uid.charCodeAt(index), 0x01000193);
  }
  // The last characters reach the high bits only by mixing.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return ((hash ^ (hash >>> 13)) >>> 0) % SLOTS;
}

/** The template that a pod was made from. */
export function templateHashOf({ inputsHash }: Pick<PodView, "inputsHash">): string | undefined {
  return inputsHash?.split(".", 1)[0];
}

/** A process that ended twice in one pod will end again, though it runs at this moment. */
const RESTARTS_MAX = 1;
const FAILURES: ReadonlySet<string> = new Set([
  "CrashLooping",
  "ImagePullFailed",
  "ContainerRefused",
]);

/** Failing for a reason that its image, resources or place can have; Vault or a full cluster is no such reason. */
export function isFailing({
  trouble,
  restarts,
  end,
}: Pick<PodView, "trouble" | "restarts" | "end">) {
  if (end !== undefined) return !end.succeeded;
  return restarts > RESTARTS_MAX || (trouble !== undefined && FAILURES.has(trouble.reason));
}

/** A pod that is not ready by then is taken for failed: some faults neither crash nor end. */
const READY_LIMIT_MS = 5 * 60_000;

/** Failing, or not ready for too long without a reason of the cluster's: no room or a silent Vault is nobody's fault. */
export function isUnwell(pod: PodView, now: Date): boolean {
  if (isFailing(pod)) return true;
  const isOfItsOwn = pod.trouble === undefined && !pod.isReady && pod.end === undefined;
  return isOfItsOwn && now.getTime() - Date.parse(pod.createdAt) > READY_LIMIT_MS;
}

/**
 * Whether what ails the pod is older than the template that its bot shall have now: the next pod's trouble is then no sign of that
 * template, and spends nothing of its failure budget. One user's bot could otherwise take back a rollout for everybody. Restarts of long
 * ago and a machine that was lost are no ailment: who is ready, or merely not ready, is a witness like the others.
 */
export function isUnwellAlready(pod: PodView, { template }: Turn): boolean {
  const hasOther = templateHashOf(pod) !== template.hash;
  return !pod.isReady && isFailing(pod) && (hasOther || pod.wasUnwell);
}

/** The condition of a bot whose turn has come and whose position keeps its pod. Its time is the memory of when that began. */
export const ROLLOUT_DEFERRED = "RolloutDeferred";

export interface Occasion {
  readonly pod: PodView;
  readonly bot: Pick<BotView, "status">;
  readonly turn: Turn;
  readonly flatness: Flatness;
  readonly now: Date;
}

/** Whether the pod is replaced for the sake of its template: now, in so many milliseconds at most, or not at all. */
export function replacementDueInMs(occasion: Occasion): number | undefined {
  const { pod, turn, now } = occasion;
  if (templateHashOf(pod) === turn.template.hash) return undefined;
  if (isFailing(pod)) return 0;
  if (!turn.isDue) return undefined;
  if (!isDeferred(occasion)) return 0;
  return Math.max(deferredSinceMs(occasion) + DEFERRAL_MAX_MS - now.getTime(), 0);
}

/** The bot's turn has come, and its position keeps its pod, or has done so for too long. */
export function isDeferred({ pod, turn, flatness }: Omit<Occasion, "bot" | "now">): boolean {
  const isDue = turn.isDue && templateHashOf(pod) !== turn.template.hash && !isFailing(pod);
  return isDue && turn.defers && flatness.status !== "True";
}

/** In whole seconds, as it is written down. Later waves are nothing to it. */
function deferredSinceMs({ bot, now }: Pick<Occasion, "bot" | "now">): number {
  const deferred = conditionOf(bot.status.conditions, ROLLOUT_DEFERRED);
  return deferred === undefined
    ? Math.floor(now.getTime() / 1_000) * 1_000
    : Date.parse(deferred.lastTransitionTime);
}
