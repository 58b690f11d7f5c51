import type { PodView } from "../pod-view.ts";
import type { BotFacts } from "./facts.ts";
import type { Step } from "./plan.ts";
import { withStops } from "./stops.ts";

/**
 * A kubelet that lives confirms a pod's end within its grace period; this much later it is taken for dead. The times are those of
 * two clocks, which is good enough to begin asking: the decision is the journal's.
 */
const LOST_AFTER_MS = 30_000;

export function nodeLost({ mode }: Pick<PodView, "mode">) {
  const message =
    "The pod's machine does not answer. Another pod is made once the journal says that the bot's lease has run out.";
  return { reason: "NodeLost", message: withStops(message, mode) };
}

/** The pod should be gone, and nobody confirms that it is: its machine is dead or cut off. */
export function isLost({ endsBy }: PodView, now: Date): boolean {
  return untilLostMs(endsBy, now) <= 0;
}

/**
 * What is done about a pod that is being deleted: nothing while its kubelet may still end it. A pod on a dead machine would stay for
 * ever, so it is released, but only after its bot's lease: until then it may live, cut off from the cluster alone, and open positions.
 */
export function deletingPodStep({ pod, now }: Pick<BotFacts, "pod" | "now">): Step {
  const waitMs = untilLostMs(pod?.endsBy, now);
  if (waitMs === Infinity) return {};
  return waitMs > 0 ? { requeueAfterMs: waitMs } : { write: "release-lost-pod" };
}

/** Infinity for a pod that nobody deletes. */
export function untilLostMs(endsBy: string | undefined, now: Date): number {
  return endsBy === undefined ? Infinity : Date.parse(endsBy) + LOST_AFTER_MS - now.getTime();
}
