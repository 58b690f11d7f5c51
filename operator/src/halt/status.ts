import { fact, type Fact, withTransitions } from "../conditions.ts";
import type { HaltStatus, HaltView } from "./halt-view.ts";

/** What a decision about a halt is made of. */
export interface HaltFacts {
  readonly halt: HaltView;
  readonly isInForce: boolean;
  /** Keys of the bots in its scope that have a pod: one without a pod trades nothing, and is told when it starts. */
  readonly matched: readonly string[];
  /** Those of them whose own report names the halt. */
  readonly acknowledged: ReadonlySet<string>;
  readonly now: Date;
}

/** What the CRD allows. */
const LAGGARDS_MAX = 10;

export function haltStatus({ halt, isInForce, matched, acknowledged, now }: HaltFacts): HaltStatus {
  const laggards = matched.filter((key) => !acknowledged.has(key));
  const conditions = [
    inForceFact(halt, isInForce),
    acknowledgedFact(isInForce, laggards.length),
    ...actionFacts(halt),
  ];
  return {
    observedGeneration: halt.generation,
    conditions: withTransitions(conditions, halt.status.conditions, now),
    matched: matched.length,
    acknowledged: matched.length - laggards.length,
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

function acknowledgedFact(isInForce: boolean, missing: number): Fact {
  if (!isInForce) {
    return fact("Acknowledged", "Unknown", {
      reason: "NotInForce",
      message: "There is nothing to acknowledge.",
    });
  }
  return missing === 0
    ? fact("Acknowledged", "True", {
        reason: "AllBots",
        message: "Every bot in its scope has said that it obeys.",
      })
    : fact("Acknowledged", "False", {
        reason: "Waiting",
        message: "Some bots have not said yet that they obey; status.laggards names them.",
      });
}

/** A stronger halt than this release can carry out is not inert: it blocks entries, and says what it does not do. */
function actionFacts({ spec: { action } }: HaltView): readonly Fact[] {
  if (action === "BlockEntries") return [];
  const undone =
    action === "Flatten" ? "positions are not closed" : "open orders are not cancelled";
  return [
    fact("Executed", "False", {
      reason: "EntriesBlockedOnly",
      message: `${action} blocks entries in this release; ${undone}: stop the bots to close them.`,
    }),
  ];
}
