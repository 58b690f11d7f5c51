import { expect, test } from "vitest";
import { waitAfter } from "./sender.ts";

test("a mail is tried ten times within three quarters of an hour", () => {
  const waits = Array.from({ length: 10 }, (_, before) => waitAfter(before + 1));
  expect(waits).toEqual([5, 10, 20, 40, 80, 160, 320, 640, 1280, undefined]);
});
