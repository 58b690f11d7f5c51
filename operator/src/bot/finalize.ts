import type { BotFacts } from "./facts.ts";
import { deletingPodStep } from "./lost-pod.ts";
import type { Step } from "./plan.ts";

/** The way out of a bot that is flat for good: first its pod, then the object, last the finalizer that held it. */
export function finalStep({ bot, pod, now }: Pick<BotFacts, "bot" | "pod" | "now">): Step {
  if (pod !== undefined) {
    return pod.isDeleting ? deletingPodStep({ pod, now }) : { write: "delete-pod" };
  }
  return { write: bot.isDeleting ? "remove-finalizer" : "delete-bot" };
}
