import { isDeferred, ROLLOUT_DEFERRED, turnOf } from "../class/turn.ts";
import { type Fact, fact } from "../conditions.ts";
import type { BotFacts } from "./facts.ts";
import { provenFlatness } from "./flatness.ts";
import { isForeign } from "./foreign-pod.ts";

/** Says that a rollout waits for the bot's position. Every bot says the same, or it would have to be kept for each. */
export function deferredFact(facts: BotFacts): Fact | undefined {
  const { botClass, bot, pod } = facts;
  if (botClass === undefined || pod === undefined || pod.isDeleting) return undefined;
  const flatness = provenFlatness(facts);
  const turn = turnOf(botClass, bot.uid);
  if (isForeign(facts) || !isDeferred({ pod, turn, flatness })) return undefined;
  return fact(ROLLOUT_DEFERRED, "True", {
    reason: flatness.reason,
    message:
      "The class has another template for the bot. Its pod is replaced when nothing is open, or after an hour with what is open, if that is not at another address; stops at the exchange stay in force.",
  });
}
