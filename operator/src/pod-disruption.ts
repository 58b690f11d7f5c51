import type { Pod } from "@tradingbots/kube";

/** Why the cluster takes a pod away that has done nothing wrong, in words for its user. */
export interface PodDisruption {
  readonly reason: "Evicted" | "Preempted" | "NodeLost";
  readonly message: string;
}

const EVICTED = "Evicted";
const NODE_LOST = "NodeLost";

/** Reasons of the condition DisruptionTarget, which says before a pod goes why it does. */
const TARGETED: Readonly<Record<string, PodDisruption>> = {
  EvictionByEvictionAPI: { reason: EVICTED, message: "The pod's machine is being emptied." },
  PreemptionByScheduler: {
    reason: "Preempted",
    message: "A pod of higher priority needed the room.",
  },
  TerminationByKubelet: {
    reason: EVICTED,
    message: "The pod's machine ran short of memory or disk, or shuts down.",
  },
  DeletionByTaintManager: {
    reason: NODE_LOST,
    message: "The pod's machine is out of reach or takes no more pods.",
  },
  DeletionByPodGC: { reason: NODE_LOST, message: "The pod's machine does not exist any more." },
};

/** Reasons that a kubelet gives to a pod that it ended itself. */
const ENDED: Readonly<Record<string, PodDisruption>> = {
  Evicted: {
    reason: EVICTED,
    message: "The pod's machine ran short of memory or disk.",
  },
  Terminated: { reason: EVICTED, message: "The pod's machine shuts down." },
  NodeShutdown: { reason: EVICTED, message: "The pod's machine shuts down." },
  Preempting: { reason: "Preempted", message: "A pod of higher priority needed the room." },
  NodeLost: { reason: NODE_LOST, message: "The pod's machine is out of reach." },
};

/** Undefined while nothing but the bot itself or the operator decides about the pod. */
export function podDisruption({ status }: Pod): PodDisruption | undefined {
  const target = status?.conditions?.find(
    ({ type, status: is }) => type === "DisruptionTarget" && is === "True",
  );
  return TARGETED[target?.reason ?? ""] ?? ENDED[status?.reason ?? ""];
}
