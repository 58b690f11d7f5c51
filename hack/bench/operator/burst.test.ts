import { expect, test } from "vitest";
import { inTurns } from "./burst.ts";

test("no contender is always the last of a round", async () => {
  const order: string[] = [];
  const run = (name: string) => async () => order.push(name);
  const runs = { bare: run("bare"), operator: run("operator"), deployments: run("deployments") };
  const counts = [await inTurns(runs, 0), await inTurns(runs, 1)];
  expect(order).toEqual(["bare", "operator", "deployments", "deployments", "operator", "bare"]);
  expect(counts).toEqual([
    { bare: 1, operator: 2, deployments: 3 },
    { bare: 6, operator: 5, deployments: 4 },
  ]);
});
