import type { Condition } from "@tradingbots/crds";
import { expect, test } from "vitest";
import { packConditions, unpackConditions } from "./packed-conditions.ts";

const ready: Condition = {
  type: "Ready",
  status: "True",
  reason: "Running",
  message: "The bot is running.",
  lastTransitionTime: "2026-01-01T00:00:00Z",
};

test.each<[string, readonly Condition[] | undefined]>([
  ["that are not there", undefined],
  ["none", []],
  ["one", [ready]],
  ["with a generation", [{ ...ready, observedGeneration: 3 }]],
  ["of two times", [ready, { ...ready, type: "Flat", lastTransitionTime: "2026-02-01T00:00:01Z" }]],
  [
    "of which a later one is older",
    [ready, { ...ready, lastTransitionTime: "2025-01-01T00:00:01Z" }],
  ],
  [
    "with a time that is none between others",
    [ready, { ...ready, lastTransitionTime: "soon" }, ready, ready],
  ],
  ["with parts of a second", [{ ...ready, lastTransitionTime: "2026-01-01T00:00:00.5Z" }]],
  ["in another zone", [{ ...ready, lastTransitionTime: "2026-01-01T01:00:00+01:00" }]],
  ["with a time that is none", [{ ...ready, lastTransitionTime: "soon" }]],
])("conditions %s come back as they were", (_name, conditions) => {
  const { conditions: again } = unpackConditions(packConditions(conditions));
  expect(again).toEqual(conditions);
});

test("what two bots say alike is held once", () => {
  const later = { ...ready, lastTransitionTime: "2026-02-01T00:00:00Z" };
  expect(packConditions([later]).sayings).toBe(packConditions([ready]).sayings);
});
