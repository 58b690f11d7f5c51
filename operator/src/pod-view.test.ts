import type { Pod } from "@tradingbots/kube";
import { expect, test } from "vitest";
import { NOW, runningFacts } from "./bot/example-facts.ts";
import { planBot } from "./bot/plan.ts";
import { podView } from "./pod-view.ts";

const after = (ms: number) => new Date(NOW.getTime() + ms);
const HOUR_MS = 3_600_000;

/** A pod that was made at NOW and lived for 5 s, by a clock that is wrong. */
function endedPod(clockErrorMs: number): Pod {
  const finishedAt = after(5_000 + clockErrorMs)
    .toISOString()
    .replace(".000Z", "Z");
  const terminated = { exitCode: 1, finishedAt };
  const container = { name: "bot", image: "", imageID: "", ready: false, restartCount: 0 };
  return {
    metadata: { creationTimestamp: NOW.toISOString().replace(".000Z", "Z") },
    status: { phase: "Failed", containerStatuses: [{ ...container, state: { terminated } }] },
  };
}

test.each([
  { clock: "that is right", errorMs: 0, waitMs: 39_000 },
  { clock: "an hour ahead", errorMs: HOUR_MS, waitMs: 40_000 }, // from when the operator saw it
])("a pod that ended by a clock $clock is followed after its pause", ({ errorMs, waitMs }) => {
  const seenAt = after(6_000);
  const { end } = podView(endedPod(errorMs), "tradingbots-00/bot-1", seenAt);
  const facts = runningFacts({ now: seenAt, restarts: 2 }, { createdAt: NOW.toISOString(), end });
  const { write, requeueAfterMs } = planBot(facts);
  expect([write, requeueAfterMs]).toEqual([undefined, waitMs]);
});
