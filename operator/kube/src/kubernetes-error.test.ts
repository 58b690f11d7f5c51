import { expect, test } from "vitest";
import { readErrorAnswer } from "./kubernetes-error.ts";

const status = { kind: "Status", code: 409, reason: "Conflict", message: "somebody was faster" };

test.each([
  { name: "a Status object", body: status, expected: { status: 409, reason: "Conflict" } },
  {
    name: "the server's own delay",
    body: { ...status, details: { retryAfterSeconds: 3 } },
    expected: { retryAfterSeconds: 3 },
  },
  { name: "a proxy's page", body: "<html>", expected: { status: 502, message: "<html>" } },
  { name: "nothing at all", body: "", expected: { status: 502, message: "HTTP 502" } },
  { name: "an array", body: [], expected: { status: 502, reason: "Unknown" } },
])("$name", ({ body, expected }) => {
  expect(readErrorAnswer(502, body)).toMatchObject(expected);
});

test("the header Retry-After counts where the body says nothing", () => {
  expect(readErrorAnswer(429, "slow down", "7").retryAfterSeconds).toBe(7);
});
