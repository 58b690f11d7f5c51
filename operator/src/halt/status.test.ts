import { expect, test } from "vitest";
import { exampleHalt, NOW } from "../bot/example-facts.ts";
import { conditionOf } from "../conditions.ts";
import { haltStatus } from "./status.ts";

const statusOf = (action: string, acknowledged: readonly string[] = []) =>
  haltStatus({
    halt: exampleHalt("h", { action }),
    isInForce: true,
    matched: ["ns/bot-2", "ns/bot-1"],
    acknowledged: new Set(acknowledged),
    now: NOW,
  });

test.each([
  { action: "CancelOrders", undone: /open orders are not cancelled/ },
  { action: "Flatten", undone: /positions are not closed/ },
])("$action stays not executed, even when every bot obeys", ({ action, undone }) => {
  const { conditions } = statusOf(action, ["ns/bot-1", "ns/bot-2"]);
  expect(conditionOf(conditions, "Acknowledged")?.status).toBe("True");
  const executed = conditionOf(conditions, "Executed");
  expect(executed).toMatchObject({ status: "False", reason: "EntriesBlockedOnly" });
  expect(executed?.message).toMatch(undone);
});

test("BlockEntries has nothing to execute; who has not obeyed yet is named", () => {
  const status = statusOf("BlockEntries", ["ns/bot-2"]);
  expect(conditionOf(status.conditions, "Executed")).toBeUndefined();
  expect(status).toMatchObject({ matched: 2, acknowledged: 1, laggards: ["ns/bot-1"] });
});
