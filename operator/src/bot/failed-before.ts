import { isFailing, isUnwellAlready, turnOf } from "../class/turn.ts";
import { conditionOf } from "../conditions.ts";
import type { PodView } from "../pod-view.ts";
import type { BotFacts } from "./facts.ts";

/** `PodReady` while a pod that failed gives way to one of another template: the memory of it until that pod carries it. */
export const FAILED_BEFORE = {
  reason: "FailedBefore",
  message: "The pod failed; the next one is made from another template.",
};

/** The pod is going, or gone, and what ailed it is no fault of the template that comes. Whoever shall not run forgets it. */
export function failedBefore({ bot, botClass, pod }: FailedFacts): boolean {
  if (bot.spec.state !== "Running") return false;
  if (pod === undefined || pod.isDeleting) {
    return conditionOf(bot.status.conditions, "PodReady")?.reason === FAILED_BEFORE.reason;
  }
  return botClass !== undefined && isUnwellAlready(pod, turnOf(botClass, bot.uid));
}

/** Ready for so long, the bot is well: whatever ails it later is news of its template like any other's. */
const RECOVERED_AFTER_MS = 600_000;

/** Until the pod's mark of an earlier failure is to go, in milliseconds; undefined while it carries none, or is not well. */
export function untilRecoveredMs(pod: PodView, now: Date): number | undefined {
  if (pod.recoveredAt === undefined || isFailing(pod)) return undefined;
  return Math.max(Date.parse(pod.recoveredAt) + RECOVERED_AFTER_MS - now.getTime(), 0);
}

type FailedFacts = Pick<BotFacts, "bot" | "botClass" | "pod">;
