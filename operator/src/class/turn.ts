import { SLOTS } from "@tradingbots/crds";
import type { Flatness } from "../bot/flatness.ts";
import type { ClassView } from "../class-view.ts";
import type { PodView } from "../pod-view.ts";
import type { HashedTemplate } from "./pod-template.ts";

/** What the class's rollout means for one bot. */
export interface Turn {
  /** What a pod that is made now is made from. */
  readonly template: HashedTemplate;
  /** A healthy pod of another template is replaced now; a failing one always is. */
  readonly isDue: boolean;
  /** Until then, in milliseconds since the epoch, a bot with an open position keeps its pod. */
  readonly deferUntilMs: number;
}

/** A position may last for days; a pod that is replaced leaves its stop at the exchange, and the next one takes it up. */
export const DEFERRAL_MAX_MS = 3_600_000;

/** The bot's turn comes by its slot alone, so that a hundred thousand bots need one number in the class's status. */
export function turnOf({ rollout, spec }: ClassView, uid: string): Turn {
  const { target, stable, reach, direction, waveStartedAtMs } = rollout;
  const deferUntilMs = spec.rollout.deferWhilePositionOpen ? waveStartedAtMs + DEFERRAL_MAX_MS : 0;
  if (target === undefined) return { template: stable, isDue: true, deferUntilMs: 0 };
  const hasTarget = slotOf(uid) < reach;
  if (direction === "Back") return { template: stable, isDue: !hasTarget, deferUntilMs };
  return { template: hasTarget ? target : stable, isDue: hasTarget, deferUntilMs };
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

export interface Occasion {
  readonly pod: PodView;
  readonly turn: Turn;
  readonly flatness: Flatness;
  readonly now: Date;
}

/** Whether the pod is replaced for the sake of its template: now, in so many milliseconds at most, or not at all. */
export function replacementDueInMs({ pod, turn, flatness, now }: Occasion): number | undefined {
  if (templateHashOf(pod) === turn.template.hash) return undefined;
  if (isFailing(pod)) return 0;
  if (!turn.isDue) return undefined;
  const mayHavePosition = flatness.status !== "True";
  return mayHavePosition ? Math.max(turn.deferUntilMs - now.getTime(), 0) : 0;
}
