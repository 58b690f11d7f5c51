import { expect, test } from "vitest";
import { podDisruption } from "./pod-disruption.ts";

const targeted = (reason: string, status = "True") => ({
  conditions: [{ type: "DisruptionTarget", status, reason }],
});

test.each([
  { name: "nothing", status: {}, reason: undefined },
  { name: "the Eviction API", status: targeted("EvictionByEvictionAPI"), reason: "Evicted" },
  { name: "it was spared", status: targeted("PreemptionByScheduler", "False"), reason: undefined },
  { name: "preemption", status: targeted("PreemptionByScheduler"), reason: "Preempted" },
  { name: "a taint", status: targeted("DeletionByTaintManager"), reason: "NodeLost" },
  { name: "the machine is gone", status: targeted("DeletionByPodGC"), reason: "NodeLost" },
  {
    name: "the kubelet, short of memory",
    status: { phase: "Failed", reason: "Evicted" },
    reason: "Evicted",
  },
  {
    name: "the kubelet, shutting down",
    status: { phase: "Failed", reason: "Terminated" },
    reason: "Evicted",
  },
  { name: "its own deadline", status: { reason: "DeadlineExceeded" }, reason: undefined },
])("$name: $reason", ({ status, reason }) => {
  expect(podDisruption({ status })?.reason).toBe(reason);
});
