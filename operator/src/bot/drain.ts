import { conditionOf, type Fact, fact, secondsOf } from "../conditions.ts";
import type { BotFacts } from "./facts.ts";
import { type Flatness, isFinal } from "./flatness.ts";

/**
 * How long an open position keeps its pod on a machine that is being emptied. Long enough for a position to reach its exit while its
 * bot watches, short enough for whoever empties the machine. After that the bot moves with its position, which is safe: stop and
 * target are at the exchange, and the next pod takes it up. Closing it would be a trade that its user never asked for.
 */
const DEFER_MAX_MS = 10 * 60_000;

type DrainFacts = Pick<BotFacts, "bot" | "pod" | "drainingNode" | "now">;

/**
 * Whether the pod shall carry the label that puts it under the PodDisruptionBudget: the Eviction API then refuses to take it. It
 * goes by what is known of the position, so that a bot that holds nothing costs no write and is in nobody's way.
 */
export function wantsGuard(facts: DrainFacts, flatness: Flatness): boolean {
  const { pod } = facts;
  if (pod === undefined) return !isFinal(flatness);
  if (flatness.status === "True") return false;
  // Once free to go, it stays so until it has gone: another position would keep the machine from being emptied for ever.
  if (facts.drainingNode !== undefined && !pod.isGuarded) return false;
  if (untilMoveMs(facts) <= 0) return false;
  return pod.isGuarded || flatness.reason === "PositionOpen";
}

/** Until the pod may go with its position; the whole time while nobody wants it to go. */
export function untilMoveMs(facts: DrainFacts): number {
  return deferredSinceMs(facts) + DEFER_MAX_MS - facts.now.getTime();
}

/** Says what a drain waits for. Its time is the memory of when the waiting began. */
export function drainingFact(facts: DrainFacts, flatness: Flatness): Fact | undefined {
  if (!isDeferring(facts, flatness)) return undefined;
  const endsAt = new Date(deferredSinceMs(facts) + DEFER_MAX_MS);
  return fact("Draining", "True", {
    reason: "PositionOpen",
    message: `The machine ${facts.drainingNode} is being emptied. The bot moves once its position is closed, and with it at ${secondsOf(endsAt)} at the latest; stops at the exchange stay in force.`,
  });
}

/** A position keeps the pod where it is, although somebody wants it to go. */
export function isDeferring(facts: DrainFacts, flatness: Flatness): boolean {
  return facts.drainingNode !== undefined && facts.pod !== undefined && wantsGuard(facts, flatness);
}

/** In whole seconds, as it is written down. */
function deferredSinceMs({ bot, drainingNode, now }: DrainFacts): number {
  const draining = conditionOf(bot.status.conditions, "Draining");
  return drainingNode === undefined || draining === undefined
    ? Math.floor(now.getTime() / 1_000) * 1_000
    : Date.parse(draining.lastTransitionTime);
}
