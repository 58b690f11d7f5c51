import type { BotFacts } from "./facts.ts";

export const FOREIGN_POD = {
  reason: "ForeignPod",
  message:
    "A pod of the bot's name exists that does not belong to it; the bot starts once that pod is gone.",
} as const;

/**
 * A pod of the bot's name that belongs to somebody else. By its owner or by what it was told: `kubectl delete --cascade=orphan` takes
 * the owner away, and the process goes on trading under the uid in its configuration. Uids are never used twice, so the pod of an
 * earlier bot of that name stays foreign.
 */
export function isForeign({ bot, pod }: Pick<BotFacts, "bot" | "pod">): boolean {
  return pod !== undefined && pod.ownerUid !== bot.uid && pod.botUid !== bot.uid;
}
