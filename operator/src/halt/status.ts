import type { HaltAction } from "@tradingbots/crds";
import { conditionOf, fact, type Fact, withTransitions } from "../conditions.ts";
import type { HaltStatus, HaltView } from "./halt-view.ts";
import type { Progress } from "./progress.ts";

export interface MatchedBot extends Progress {
  readonly key: string;
}

/** What a decision about a halt is made of. */
export interface HaltFacts {
  readonly halt: HaltView;
  readonly isInForce: boolean;
  /** The bots in its scope; none when it is not in force. */
  readonly matched: readonly MatchedBot[];
  readonly now: Date;
}

/** What the CRD allows. */
const LAGGARDS_MAX = 10;

export function haltStatus({ halt, isInForce, matched, now }: HaltFacts): HaltStatus {
  const unheard = matched.filter((bot) => !bot.acknowledged);
  const unfinished = matched.filter((bot) => !bot.acknowledged || !bot.finished);
  const conditions = [
    inForceFact(halt, isInForce),
    acknowledgedFact(isInForce, matched.length, unheard.length),
    ...executedFacts({ halt, isInForce, matched, now }, unfinished.length),
  ];
  const laggards = unfinished.map(({ key }) => key);
  return {
    observedGeneration: halt.generation,
    conditions: withTransitions(conditions, halt.status.conditions, now),
    matched: matched.length,
    acknowledged: matched.length - unheard.length,
    finished: matched.length - unfinished.length,
    laggards: laggards.toSorted((a, b) => (a < b ? -1 : 1)).slice(0, LAGGARDS_MAX),
  };
}

function inForceFact({ spec: { lifted } }: HaltView, isInForce: boolean): Fact {
  if (isInForce) {
    return fact("InForce", "True", {
      reason: "InForce",
      message: "Bots in its scope open nothing.",
    });
  }
  return lifted
    ? fact("InForce", "False", { reason: "Lifted", message: "The halt was lifted." })
    : fact("InForce", "False", { reason: "Expired", message: "The halt's time is over." });
}

/** Never True: a name that is written wrong must not look like a halt that was obeyed. */
const NO_BOTS = {
  reason: "NoBots",
  message: "No bot is in its scope; if there should be one, check scope.value.",
};

function acknowledgedFact(isInForce: boolean, matched: number, missing: number): Fact {
  if (!isInForce) {
    return fact("Acknowledged", "Unknown", {
      reason: "NotInForce",
      message: "There is nothing to acknowledge.",
    });
  }
  if (matched === 0) return fact("Acknowledged", "False", NO_BOTS);
  return missing === 0
    ? fact("Acknowledged", "True", {
        reason: "AllBots",
        message: "Every bot in its scope has said that it obeys, or has no pod.",
      })
    : fact("Acknowledged", "False", {
        reason: "Waiting",
        message: "Some bots have not said yet that they obey; status.laggards names them.",
      });
}

const DEEDS: Readonly<Record<Exclude<HaltAction, "BlockEntries">, { done: string; left: string }>> =
  {
    CancelOrders: {
      done: "No bot in its scope has an open entry order; stops and targets stay.",
      left: "may have an open entry order",
    },
    Flatten: {
      done: "No bot in its scope holds a position or an order; they are left Paused.",
      left: "may hold a position or an order",
    },
  };

/**
 * Whether what a halt asks for beyond blocking entries is done. What was done stays said when the halt is lifted or its bots are
 * gone.
 */
function executedFacts(
  { halt, isInForce, matched }: HaltFacts,
  unfinished: number,
): readonly Fact[] {
  const { action, lifted } = halt.spec;
  if (action === "BlockEntries") return [];
  const { done, left } = DEEDS[action];
  const before = conditionOf(halt.status.conditions, "Executed");
  if (before?.status === "True" && matched.length === 0) return [fact("Executed", "True", before)];
  if (!isInForce) {
    const message = "The halt ended before every bot had said that it was done.";
    return [fact("Executed", "False", { reason: lifted ? "Lifted" : "Ended", message })];
  }
  if (matched.length === 0) return [fact("Executed", "False", NO_BOTS)];
  if (unfinished === 0) return [fact("Executed", "True", { reason: "AllBots", message: done })];
  // Without a count: a hundred thousand bots that finish one by one are not as many writes.
  const message = `Some bots ${left}; status.laggards names them.`;
  return [fact("Executed", "False", { reason: "InProgress", message })];
}
