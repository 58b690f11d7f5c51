import { expect, test } from "vitest";
import { describeError } from "./describe-error.ts";

test("causes are told, stacks are not", () => {
  const error = new Error("while compiling", { cause: new Error("disk full") });
  expect(describeError(error)).toBe("while compiling\n  because: disk full");
  expect(describeError("odd")).toBe("odd");
});
