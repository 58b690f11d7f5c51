import { isUnwellAlready, turnOf } from "../class/turn.ts";
import { conditionOf } from "../conditions.ts";
import type { BotFacts } from "./facts.ts";

/** `PodReady` while a pod that failed gives way to one of another template: the memory of it until that pod carries it. */
export const FAILED_BEFORE = {
  reason: "FailedBefore",
  message: "The pod failed; the next one is made from another template.",
};

/** The pod is going, or gone, and what ailed it is no fault of the template that comes. */
export function failedBefore({ bot, botClass, pod, now }: FailedFacts): boolean {
  const isKnown =
    conditionOf(bot.status.conditions, "PodReady")?.reason === FAILED_BEFORE.reason &&
    (pod === undefined || pod.isDeleting);
  if (isKnown || pod === undefined || botClass === undefined) return isKnown;
  return isUnwellAlready(pod, turnOf(botClass, bot.uid), now);
}
type FailedFacts = Pick<BotFacts, "bot" | "botClass" | "pod" | "now">;
