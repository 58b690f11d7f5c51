import { expect, test } from "vitest";
import { condition, exampleBot, exampleFacts } from "./example-facts.ts";
import { planBot } from "./plan.ts";
import { startNeeded } from "./start-turn.ts";

const flat = (reason: string) => ({ conditions: [condition("Flat", "Unknown", reason)] });
const seen = { observedGeneration: 1 };

test.each<[string, object, string]>([
  ["a user has just started it", {}, "user"],
  ["its pod has gone, and nothing is open", { ...flat("Closed"), ...seen }, "rest"],
  ["its pod has gone, and something may be open", { ...flat("NotReported"), ...seen }, "position"],
  ["the same, and its user has just changed it", flat("NotReported"), "position"],
])("where %s, the start waits in the right line", (_name, status, rank) => {
  const facts = exampleFacts({ bot: exampleBot({}, {}, status) });
  expect(startNeeded(facts, planBot(facts))).toMatchObject({ rank });
});
