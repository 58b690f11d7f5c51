import { type RolloutStatus, SLOTS } from "@tradingbots/crds";
import { expect, test } from "vitest";
import { exampleClass, NOW } from "../bot/example-facts.ts";
import { conditionOf } from "../conditions.ts";
import { classStatus } from "./status.ts";

const { image, resources } = exampleClass.wanted;
const placement = { nodeSelector: { pool: "b" } };
const address = { restUrl: "http://simulator", websocketUrl: "ws://simulator" };
const endpoints = [{ exchange: "bybit" as const, ...address }];
const larger = { ...resources, limits: { memory: "1Gi" } };

test.each([
  ["another image", { image: "bot:2", resources }, "bot:2 in place of bot:1"],
  ["other resources", { image, resources: larger }, "other resources for bot:1"],
  [
    "other resources and another place",
    { image, resources: larger, placement },
    "other resources and placement for bot:1",
  ],
  ["another address", { image, resources, endpoints }, "other endpoints for bot:1"],
])("a wave tells what it brings: %s", (_name, target, what) => {
  const stable = { image, resources, endpoints: [] };
  const to = { endpoints: [], ...target };
  const rollout = { stable, target: to, direction: "Forward", wave: 1 } as const;
  const { conditions = [] } = classStatus(exampleClass, rollout, NOW);
  expect(conditions.map(({ message }) => message)).toContain(`Wave 1 brings ${what}.`);
});

test.each<[string, Partial<RolloutStatus>, string]>([
  ["nothing runs, and none will by itself", {}, "False NothingRan"],
  ["nothing has been looked at", { settledAt: undefined }, "True RollingOut"],
  ["the first starts", { moving: 1 }, "True Soaking"],
  ["one runs", { updated: 1 }, "True Soaking"],
  ["one is to follow when its position closes", { deferred: 1 }, "True Soaking"],
])("a rollout with everybody in reach, where %s", (_name, changes, progressing) => {
  const template = { image, resources };
  const rollout: RolloutStatus = {
    stable: template,
    target: { ...template, image: "bot:2" },
    direction: "Forward",
    reach: SLOTS,
    wave: 1,
    settledAt: NOW.toISOString(),
    updated: 0,
    moving: 0,
    deferred: 0,
    ...changes,
  };
  const { conditions } = classStatus(exampleClass, rollout, NOW);
  const { status, reason } = conditionOf(conditions, "Progressing") ?? {};
  expect(`${status} ${reason}`).toBe(progressing);
});
