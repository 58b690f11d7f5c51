import { expect, test } from "vitest";
import { median, percentile } from "./statistics.ts";

const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);

test.each([
  { name: "the median of a hundred is the fiftieth", samples: hundred, share: 0.5, expected: 50 },
  { name: "p99 of a hundred is the last but one", samples: hundred, share: 0.99, expected: 99 },
  { name: "p99 of few samples is the largest", samples: [3, 1, 2], share: 0.99, expected: 3 },
  { name: "one sample is all of them", samples: [7], share: 0.5, expected: 7 },
  { name: "numbers are not sorted as text", samples: [10, 9, 100], share: 0.5, expected: 10 },
])("$name", ({ samples, share, expected }) => {
  expect(percentile(samples, share)).toBe(expected);
});

test("no samples have no median", () => {
  expect(() => median([])).toThrow("no samples");
});
