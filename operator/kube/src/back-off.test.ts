import { expect, test } from "vitest";
import { backOffMs } from "./back-off.ts";

const BACK_OFF = { initialMs: 100, maxMs: 1_000 };

test.each([
  { failures: 1, random: 0, delayMs: 50 },
  { failures: 1, random: 0.5, delayMs: 75 },
  { failures: 3, random: 0, delayMs: 200 },
  { failures: 5, random: 0.999, delayMs: 1_000 },
  { failures: 5_000, random: 0, delayMs: 500 },
])("$failures failures, random $random: $delayMs ms", ({ failures, random, delayMs }) => {
  expect(Math.round(backOffMs(failures, BACK_OFF, () => random))).toBe(delayMs);
});
