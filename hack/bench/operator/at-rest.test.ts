import { expect, test } from "vitest";
import { isConsistent } from "./at-rest.ts";

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
