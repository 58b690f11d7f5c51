import { isUnwellAlready, turnOf } from "../class/turn.ts";
import { conditionOf } from "../conditions.ts";
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
type FailedFacts = Pick<BotFacts, "bot" | "botClass" | "pod">;
