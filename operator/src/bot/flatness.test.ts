import { describe, expect, test } from "vitest";
import type { PodEnd } from "../pod-view.ts";
import {
  condition,
  exampleBot,
  exampleFacts,
  exampleReport,
  NOW,
  runningFacts,
} from "./example-facts.ts";
import type { BotFacts } from "./facts.ts";
import { flatnessOf, isFinal } from "./flatness.ts";

const recorded = (reason: string, status = "True") => ({
  conditions: [condition("Flat", status, reason)],
});
const stopped = (status: object = {}) =>
  exampleBot({ state: "Stopped" }, { generation: 2 }, status);
const ended = (message: string | undefined): { end: PodEnd } => ({
  end: {
    succeeded: true,
    message,
    podReason: undefined,
    exitCode: undefined,
    finishedAt: NOW.toISOString(),
  },
});
const said = (report: Parameters<typeof exampleReport>[0], ageMs = 0): BotFacts["report"] => ({
  kind: "fresh",
  latest: exampleReport(report, ageMs),
});

const stoppedPod = (report: BotFacts["report"], status: object = {}) =>
  runningFacts({ bot: stopped(status), report });

describe("without a pod", () => {
  test.each<{ name: string; facts: Partial<BotFacts>; reason: string }>([
    { name: "never a pod", facts: {}, reason: "NeverStarted" },
    {
      name: "status lost, but the journal knows the bot",
      facts: { report: said({}) },
      reason: "NotReported",
    },
    { name: "ended flat", facts: { bot: stopped(recorded("Closed")) }, reason: "Closed" },
    {
      name: "vanished while nothing was open, which proves nothing",
      facts: { bot: stopped(recorded("NothingOpen")) },
      reason: "NotReported",
    },
    {
      name: "vanished after it said, stopped, that nothing is open",
      facts: {
        bot: stopped(recorded("PositionOpen", "False")),
        report: said({ state: "Stopped", generation: 2 }, 3_600_000),
      },
      reason: "Closed",
    },
    {
      name: "vanished after it said so about an earlier generation",
      facts: {
        bot: stopped(recorded("NothingOpen")),
        report: said({ state: "Stopped", generation: 1 }),
      },
      reason: "NotReported",
    },
    {
      name: "vanished while running",
      facts: {
        bot: exampleBot({}, {}, recorded("NothingOpen")),
        report: said({ state: "Paused" }),
      },
      reason: "NotReported",
    },
    {
      name: "journal down: only what is recorded counts",
      facts: { bot: stopped(recorded("NothingOpen")), report: { kind: "unheard" } },
      reason: "NotReported",
    },
  ])("$name: $reason", ({ facts, reason }) => {
    const flatness = flatnessOf(exampleFacts(facts));
    expect(flatness.reason).toBe(reason);
    expect(isFinal(flatness)).toBe(["NeverStarted", "Closed"].includes(reason));
  });
});

describe("with a pod", () => {
  test.each<{ name: string; facts: BotFacts; reason: string }>([
    { name: "no report yet", facts: stoppedPod({ kind: "none" }), reason: "Starting" },
    {
      name: "a report of an earlier pod",
      facts: runningFacts({}, { uid: "another" }),
      reason: "Starting",
    },
    { name: "open", facts: stoppedPod(said({ flat: false })), reason: "PositionOpen" },
    { name: "flat while running", facts: runningFacts(), reason: "NothingOpen" },
    {
      name: "flat, but the report is old",
      facts: stoppedPod({ kind: "stale", latest: exampleReport() }),
      reason: "NotReported",
    },
    {
      name: "flat and stopped, about to end by itself",
      facts: stoppedPod(said({ state: "Stopped", generation: 2 }, 9_999)),
      reason: "NothingOpen",
    },
    {
      name: "flat and stopped, and did not end",
      facts: stoppedPod(said({ state: "Stopped", generation: 2 }, 10_000)),
      reason: "Closed",
    },
    {
      name: "journal down: what was recorded stays",
      facts: stoppedPod({ kind: "unheard" }, recorded("PositionOpen", "False")),
      reason: "PositionOpen",
    },
    {
      name: "journal down: nothing final is concluded",
      facts: stoppedPod({ kind: "unheard" }, recorded("Closed")),
      reason: "NotReported",
    },
  ])("$name: $reason", ({ facts, reason }) => {
    expect(flatnessOf(facts).reason).toBe(reason);
  });

  test.each([
    { message: '{"flat":true,"epoch":3}', reason: "Closed" },
    { message: '{"flat":true,"epoch":1}', reason: "Closed" },
    { message: '{"flat":true,"epoch":0}', reason: "NotReported" },
    { message: '{"flat":true}', reason: "NotReported" },
    { message: '{"flat":false,"epoch":3}', reason: "NotReported" },
    { message: "Error: out of luck", reason: "NotReported" },
    { message: undefined, reason: "NotReported" },
  ])("ended, saying $message: $reason", ({ message, reason }) => {
    expect(flatnessOf(runningFacts({}, ended(message))).reason).toBe(reason);
  });
});

describe("without a session nothing counts as flat", () => {
  const bot = stopped(recorded("PositionOpen", "False"));
  const latest = { ...exampleReport({ state: "Stopped", generation: 2 }, 60_000), epoch: 0 };
  const report = { kind: "fresh", latest } as const;
  test.each<{ name: string; facts: BotFacts; reason: string }>([
    {
      name: "a report of the pod",
      facts: runningFacts({ bot, report }),
      reason: "Starting",
    },
    { name: "a report without a pod", facts: exampleFacts({ bot, report }), reason: "NotReported" },
    {
      name: "a pod's last message",
      facts: runningFacts({ bot, report }, ended('{"flat":true,"epoch":0}')),
      reason: "NotReported",
    },
  ])("$name: $reason", ({ facts, reason }) => {
    expect(flatnessOf(facts)).toMatchObject({ status: "Unknown", reason });
    expect(isFinal(flatnessOf(facts))).toBe(false);
  });
});

test("a refused pod has changed nothing", () => {
  const flatBefore = flatnessOf(exampleFacts());
  const refusal = { reason: "PodRefused" as const, message: "quota", times: 1, flatBefore };
  const bot = exampleBot({}, {}, recorded("Starting", "Unknown"));
  expect(flatnessOf(exampleFacts({ bot, refusal })).reason).toBe("NeverStarted");
});
