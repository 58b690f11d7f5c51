import type { PodTemplate, RolloutStatus } from "@tradingbots/crds";
import { isDeepStrictEqual } from "node:util";
import type { ClassStatus, ClassView } from "../class-view.ts";
import { fact, type Fact, withTransitions } from "../conditions.ts";
import { lacksWitness } from "./plan-rollout.ts";

/** What `kubectl get botclasses` and `kubectl wait` see. */
export function classStatus(botClass: ClassView, rollout: RolloutStatus, now: Date): ClassStatus {
  const facts = [progressingFact(botClass, rollout), degradedFact(rollout)];
  return {
    observedGeneration: botClass.generation,
    conditions: withTransitions(facts, botClass.status.conditions, now),
    rollout,
  };
}

/** False only when nothing moves any more, so that `kubectl wait --for=condition=Progressing=false` means the end, good or bad. */
function progressingFact({ spec }: ClassView, rollout: RolloutStatus): Fact {
  const { stable, target, direction, rejected, settledAt, wave = 0 } = rollout;
  if (target === undefined) {
    return rejected === undefined
      ? fact("Progressing", "False", {
          reason: "Complete",
          message: `Bots run ${stable.image}.`,
        })
      : fact("Progressing", "False", {
          reason: "RolledBack",
          message: `Bots run ${stable.image} again. To go on, give the class another image.`,
        });
  }
  if (lacksWitness(rollout)) {
    return fact("Progressing", "False", {
      reason: "NothingRan",
      message: `Bots that start get ${target.image}. No bot has run well with it yet: until one has, it is watched, and ${stable.image} counts as the last good one.`,
    });
  }
  const paused = spec.rollout.paused
    ? { reason: "Paused", message: "spec.rollout.paused holds the next wave back." }
    : undefined;
  if (direction === "Back") {
    const message = `Bots return to ${stable.image}. ${rejected?.because ?? "The specification asks for it."}`;
    return fact("Progressing", paused === undefined ? "True" : "Unknown", {
      reason: "RollingBack",
      message,
    });
  }
  if (paused !== undefined) return fact("Progressing", "Unknown", paused);
  return settledAt === undefined || wave === 0
    ? fact("Progressing", "True", {
        reason: "RollingOut",
        message: `Wave ${wave} brings ${changeOf(target, stable)}.`,
      })
    : fact("Progressing", "True", {
        reason: "Soaking",
        message: `Wave ${wave} has ${target.image}; the next one begins when it has run well for ${spec.rollout.soakSeconds} s and a place is free.`,
      });
}

/** By what differs: often it is not the image. */
function changeOf(target: PodTemplate, stable: PodTemplate): string {
  const images = `${target.image} in place of ${stable.image}`;
  if (target.image !== stable.image) return images;
  const parts = (["resources", "placement", "endpoints"] as const).filter((part) => {
    const isKnown = part !== "endpoints" || stable.endpoints !== undefined;
    return isKnown && !isDeepStrictEqual(target[part], stable[part]);
  });
  if (parts.length === 0) return `${target.image} in place of what nobody remembers`;
  return `other ${parts.join(" and ")} for ${target.image}`;
}

function degradedFact({ rejected }: RolloutStatus): Fact {
  return rejected === undefined
    ? fact("Degraded", "False", { reason: "AsWanted", message: "Nothing was taken back." })
    : fact("Degraded", "True", { reason: "RolloutFailed", message: rejected.because });
}
