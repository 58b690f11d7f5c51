import type { StartWish } from "../start-line.ts";
import type { Denial } from "./admission.ts";
import type { BotFacts } from "./facts.ts";
import { isFinal } from "./flatness.ts";
import type { BotPlan } from "./plan.ts";

/** The start that must wait for Vault's turn; undefined where nothing starts, or nothing logs in. */
export function startNeeded(
  { bot }: Pick<BotFacts, "bot">,
  { write, credentialsVersion, flatness }: BotPlan,
): Omit<StartWish, "wake"> | undefined {
  if (write !== "create-pod" || credentialsVersion === undefined) return undefined;
  const isNews = bot.status.observedGeneration !== bot.generation;
  return { id: bot.key, rank: !isFinal(flatness) ? "position" : isNews ? "user" : "rest" };
}

export function startQueued(ahead: number): Denial {
  return {
    reason: "StartQueued",
    message: `About ${ahead} starts come first: keys are handed out at a limited rate.`,
    forbidsPod: false,
    pausesPod: false,
  };
}
