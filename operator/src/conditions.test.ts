import { expect, test } from "vitest";
import { fact, isSameStatus, withTransitions } from "./conditions.ts";

test("a condition keeps its time as long as its status stays", () => {
  const because = { reason: "A", message: "a" };
  const first = withTransitions(
    [fact("Ready", "True", because)],
    undefined,
    new Date("2026-01-01T00:00:00.123Z"),
  );
  expect(first[0]?.lastTransitionTime).toBe("2026-01-01T00:00:00Z");
  const later = new Date("2026-01-02T00:00:00Z");
  const sameStatus = fact("Ready", "True", { reason: "B", message: "b" });
  expect(withTransitions([sameStatus], first, later)[0]?.lastTransitionTime).toBe(
    "2026-01-01T00:00:00Z",
  );
  const other = fact("Ready", "False", because);
  expect(withTransitions([other], first, later)[0]?.lastTransitionTime).toBe(
    "2026-01-02T00:00:00Z",
  );
});

test.each([
  { name: "equal", previous: { a: [1], b: "x" }, next: { b: "x", a: [1] }, isSame: true },
  { name: "undefined and absent", previous: {}, next: { a: undefined }, isSame: true },
  { name: "changed", previous: { a: 1, b: 2 }, next: { a: 1, b: 3 }, isSame: false },
  { name: "gone", previous: { a: 1, b: 2 }, next: { a: 1 }, isSame: false },
  { name: "new", previous: {}, next: { a: 1 }, isSame: false },
])("$name: the same is $isSame", ({ previous, next, isSame }) => {
  expect(isSameStatus(previous, next)).toBe(isSame);
});
