import { expect, test } from "vitest";
import { warmUp } from "./warm-up.ts";

test("the examples have the shapes of their kinds", async () => {
  await expect(warmUp()).resolves.toBeUndefined();
});
