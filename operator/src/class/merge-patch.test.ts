import { expect, test } from "vitest";
import { mergePatch } from "./merge-patch.ts";

test.each<[string, object, object, object | undefined]>([
  ["nothing", { a: { b: 1 } }, { a: { b: 1 } }, undefined],
  ["a field that is undefined", { a: 1 }, { a: 1, b: undefined }, undefined],
  ["a field that goes", { a: 1, b: 2 }, { a: 1 }, { b: null }],
  ["a nested field that goes", { a: { b: 1, c: 2 } }, { a: { c: 2 } }, { a: { b: null } }],
  ["a nested field that changes", { a: { b: 1, c: 2 } }, { a: { b: 3, c: 2 } }, { a: { b: 3 } }],
  ["an array, whole", { a: [1, 2] }, { a: [1] }, { a: [1] }],
  ["an object in place of nothing", {}, { a: { b: 1 } }, { a: { b: 1 } }],
])("%s", (...[, previous, next, patch]) => {
  expect(mergePatch(previous, next)).toEqual(patch);
});
