import { expect, test } from "vitest";
import { exampleHalt, NOW } from "../bot/example-facts.ts";
import { conditionOf } from "../conditions.ts";
import type { HaltView } from "./halt-view.ts";
import { haltStatus, type MatchedBot } from "./status.ts";

const bot = (key: string, acknowledged: boolean, finished: boolean): MatchedBot => ({
  key,
  acknowledged,
  finished,
});
const statusOf = (halt: HaltView, matched: readonly MatchedBot[], isInForce = true) =>
  haltStatus({ halt, isInForce, matched, now: NOW });

test.each([
  {
    name: "nobody has heard of it",
    matched: [bot("a", false, false), bot("b", false, false)],
    counts: { matched: 2, acknowledged: 0, finished: 0, laggards: ["a", "b"] },
    conditions: ["False Waiting", "False InProgress"],
  },
  {
    name: "everybody obeys and one is done",
    matched: [bot("b", true, false), bot("a", true, true)],
    counts: { matched: 2, acknowledged: 2, finished: 1, laggards: ["b"] },
    conditions: ["True AllBots", "False InProgress"],
  },
  {
    name: "everybody is done",
    matched: [bot("a", true, true), bot("b", true, true)],
    counts: { matched: 2, acknowledged: 2, finished: 2, laggards: [] },
    conditions: ["True AllBots", "True AllBots"],
  },
  {
    name: "a word without obedience counts for nothing",
    matched: [bot("a", false, true)],
    counts: { matched: 1, acknowledged: 0, finished: 0, laggards: ["a"] },
    conditions: ["False Waiting", "False InProgress"],
  },
  {
    name: "nobody is in its scope",
    matched: [],
    counts: { matched: 0, acknowledged: 0, finished: 0, laggards: [] },
    conditions: ["False NoBots", "False NoBots"],
  },
])("Flatten and CancelOrders: $name", ({ matched, counts, conditions }) => {
  for (const action of ["Flatten", "CancelOrders"]) {
    const status = statusOf(exampleHalt("h", { action }), matched);
    expect(status).toMatchObject(counts);
    const said = ["Acknowledged", "Executed"].map((type) => {
      const condition = conditionOf(status.conditions, type);
      return `${condition?.status} ${condition?.reason}`;
    });
    expect(said).toEqual(conditions);
  }
});

test("BlockEntries has nothing to execute; who has not obeyed yet is named", () => {
  const status = statusOf(exampleHalt("h"), [bot("b", true, true), bot("a", false, false)]);
  expect(conditionOf(status.conditions, "Executed")).toBeUndefined();
  expect(status).toMatchObject({ matched: 2, acknowledged: 1, finished: 1, laggards: ["a"] });
});

test.each([
  { name: "was done before", done: true, executed: "True AllBots" },
  { name: "was not done", done: false, executed: "False Lifted" },
])("a lifted Flatten that $name says $executed", ({ done, executed }) => {
  const halt = exampleHalt("h", { action: "Flatten", lifted: true });
  const { conditions } = statusOf(halt, [bot("a", true, done)]);
  const lifted = statusOf({ ...halt, status: { conditions } }, [], false);
  const condition = conditionOf(lifted.conditions, "Executed");
  expect(`${condition?.status} ${condition?.reason}`).toBe(executed);
});

test("a Flatten that was done stays done when its bots are gone", () => {
  const halt = exampleHalt("h", { action: "Flatten" });
  const { conditions } = statusOf(halt, [bot("a", true, true)]);
  const later = statusOf({ ...halt, status: { conditions } }, []);
  expect(conditionOf(later.conditions, "Executed")).toEqual(conditionOf(conditions, "Executed"));
});
