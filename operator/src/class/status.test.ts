import { expect, test } from "vitest";
import { exampleClass, NOW } from "../bot/example-facts.ts";
import { classStatus } from "./status.ts";

const { image, resources } = exampleClass.wanted;
const placement = { nodeSelector: { pool: "b" } };
const larger = { ...resources, limits: { memory: "1Gi" } };

test.each([
  ["another image", { image: "bot:2", resources }, "bot:2 in place of bot:1"],
  ["other resources", { image, resources: larger }, "other resources for bot:1"],
  [
    "other resources and another place",
    { image, resources: larger, placement },
    "other resources and placement for bot:1",
  ],
])("a wave tells what it brings: %s", (_name, target, what) => {
  const rollout = { stable: { image, resources }, target, direction: "Forward", wave: 1 } as const;
  const { conditions = [] } = classStatus(exampleClass, rollout, NOW);
  expect(conditions.map(({ message }) => message)).toContain(`Wave 1 brings ${what}.`);
});
