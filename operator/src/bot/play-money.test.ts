import { describe, expect, test } from "vitest";
import { progressOf } from "../halt/progress.ts";
import {
  condition,
  exampleBot,
  exampleFacts,
  exampleHalt,
  exampleReport,
  runningFacts,
} from "./example-facts.ts";
import type { BotFacts } from "./facts.ts";
import { planBot } from "./plan.ts";

const crashing = {
  isReady: false,
  restarts: 7,
  trouble: { reason: "CrashLooping", message: "It crashes." },
} as const;
const flat = (reason: string) => ({ conditions: [condition("Flat", "Unknown", reason)] });
const PAPER = { mode: "paper", accountName: undefined };

const NO_ROOM = { reason: "Unschedulable", message: "No machine has room." };
const NO_IMAGE = { reason: "ImagePullFailed", message: "The image cannot be pulled." };

function paper(state: string, recorded = "Starting", more: object = {}) {
  return exampleBot({ ...PAPER, state }, more, flat(recorded));
}

const withPod = (bot: BotFacts["bot"], pod: object = crashing) =>
  runningFacts({ bot, account: undefined, report: { kind: "none" } }, pod);
const withoutPod = (bot: BotFacts["bot"]) => exampleFacts({ bot, account: undefined });

const deleting = { deletionTimestamp: "2026-01-01T12:00:00Z" };

describe("the end of a paper bot whose process does not come up waits for nobody", () => {
  test.each<[string, BotFacts, string, string | undefined]>([
    ["Stopped while it crashes", withPod(paper("Stopped")), "PaperEnded", "delete-pod"],
    ["Paused while it crashes", withPod(paper("Paused")), "PaperEnded", "delete-pod"],
    ["Retired while it crashes", withPod(paper("Retired")), "PaperEnded", "delete-pod"],
    [
      "deleted while it crashes",
      withPod(paper("Running", "Starting", deleting)),
      "PaperEnded",
      "delete-pod",
    ],
    [
      "its crashed pod is going, and tells nothing any more",
      withPod(paper("Retired", "PaperEnded"), { isReady: false, isDeleting: true }),
      "PaperEnded",
      undefined,
    ],
    [
      "its crashed pod is gone",
      withoutPod(paper("Retired", "PaperEnded")),
      "PaperEnded",
      "delete-bot",
    ],
    ["Running, it tries on", withPod(paper("Running")), "Starting", undefined],
    [
      "no room for it at this moment: it waits",
      withPod(paper("Stopped"), { ...crashing, restarts: 0, trouble: NO_ROOM }),
      "Starting",
      undefined,
    ],
    [
      "Paused, its image does not come at this moment: it waits",
      withPod(paper("Paused"), { ...crashing, restarts: 0, trouble: NO_IMAGE }),
      "Starting",
      undefined,
    ],
    [
      "its pod was made for real money",
      withPod(paper("Stopped"), { ...crashing, mode: "live" }),
      "Starting",
      "update-config",
    ],
    [
      "a pod that can come up closes first",
      withoutPod(paper("Stopped")),
      "NotReported",
      "create-pod",
    ],
    ["a process that runs closes first", withPod(paper("Stopped"), {}), "Starting", undefined],
    [
      "a live bot's position stays unknown",
      runningFacts(
        { bot: exampleBot({ state: "Retired" }, {}, flat("Starting")), report: { kind: "none" } },
        crashing,
      ),
      "Starting",
      undefined,
    ],
  ])("%s", (...[, facts, reason, write]) => {
    const plan = planBot(facts);
    expect([plan.flatness.reason, plan.write]).toEqual([reason, write]);
  });
});

describe("a Flatten halt counts a paper bot", () => {
  const halt = exampleHalt("h", { action: "Flatten" });
  test.each<[string, BotFacts, boolean]>([
    ["whose process crashes, as done", withPod(paper("Running")), true],
    [
      "whose process runs and has not said that it obeys, as not done",
      withPod(paper("Running"), {}),
      false,
    ],
  ])("%s", (_name, facts, finished) => {
    expect(progressOf(halt, facts)).toEqual({ acknowledged: finished, finished });
  });

  test("and a live one whose process crashes as not done", () => {
    const latest = exampleReport({ flat: false });
    const facts = runningFacts({ report: { kind: "stale", latest } }, crashing);
    expect(progressOf(halt, facts).finished).toBe(false);
  });
});
