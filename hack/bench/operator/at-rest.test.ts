import { expect, test } from "vitest";
import { isConsistent, restartFigures } from "./at-rest.ts";

test.each([
  { name: "leads, with nothing to do", leads: 1, waiting: 0, running: 0, consistent: true },
  { name: "stands by", leads: 0, waiting: 0, running: 0, consistent: false },
  { name: "has keys that wait", leads: 1, waiting: 1, running: 0, consistent: false },
  { name: "has a last pass under way", leads: 1, waiting: 0, running: 1, consistent: false },
])(
  "an operator that $name: consistent is $consistent",
  ({ leads, waiting, running, consistent }) => {
    const metrics = new Map([
      ["tradingbots_operator_is_leader", leads],
      ['tradingbots_operator_queue_depth{queue="bots"}', waiting],
      ['tradingbots_operator_queue_running{queue="bots"}', running],
    ]);
    expect(isConsistent(metrics)).toBe(consistent);
  },
);

test("a start's longest block is told beside the time that it does not cover", () => {
  const reads = { pages: [2], stream: [3] };
  const figures = restartFigures({
    restarts: [3],
    reads,
    blocks: [40],
    ownBlocks: [20],
    loads: [400],
  });
  const told = Object.fromEntries(figures.map(({ key, value }) => [key, value]));
  expect(told).toEqual({
    restart_ratio: 1.5,
    max_block_ms: 40,
    max_own_block_ms: 20,
    load_ms: 400,
  });
  expect(figures.find(({ key }) => key === "load_ms")).not.toHaveProperty("aim");
});
