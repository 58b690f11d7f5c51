import type { BotState } from "@tradingbots/crds";
import { isFailing } from "../class/turn.ts";
import { conditionOf } from "../conditions.ts";
import type { BotFacts } from "./facts.ts";
import type { Flatness } from "./flatness.ts";

/**
 * What a paper bot holds is in its process, and in the journal for the next one: no exchange has any of it. So where a live bot's
 * position would be unknown, a paper bot that shall end has none, and its end waits for no process that does not come up. A
 * process that does come up closes its positions first, so that the journal has their end.
 */
export const PAPER_ENDED: Flatness = {
  status: "True",
  reason: "PaperEnded",
  message: "The bot's process is gone. It traded with play money: nothing is open at an exchange.",
};

/** A paper bot that shall end, and whose pod does not come up. */
export function hasEndedOnPaper(facts: BotFacts, intended: BotState): boolean {
  const { bot, pod } = facts;
  if (bot.spec.mode !== "paper" || intended === "Running" || pod === undefined) return false;
  const wasOver = conditionOf(bot.status.conditions, "Flat")?.reason === PAPER_ENDED.reason;
  if (pod.isDeleting && wasOver) return true;
  // Paused, it keeps its position: only a process that ends again and again will not see it through.
  return isDownOnPaper(facts) && (intended !== "Paused" || pod.trouble?.reason === "CrashLooping");
}

/** Its pod is there, and no process in it: what it held is of no account. */
export function isDownOnPaper({ bot, pod }: Pick<BotFacts, "bot" | "pod">): boolean {
  if (bot.spec.mode !== "paper" || pod === undefined || pod.mode !== "paper") return false;
  return !pod.isReady && pod.trouble !== undefined && isFailing(pod);
}
