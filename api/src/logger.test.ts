import { expect, test } from "vitest";
import { loggedError } from "./logger.ts";

test("of an error with a request in it only type, message, stack and causes are told", () => {
  const config = { data: '{"apiSecret":"the-secret"}' };
  const client = Object.assign(new Error("connect ECONNREFUSED"), { config, response: config });
  const told = loggedError(new Error("while writing", { cause: client }));
  expect(told).toMatchObject({
    message: "while writing",
    cause: { message: "connect ECONNREFUSED" },
  });
  expect(JSON.stringify(told)).not.toContain("the-secret");
  expect(loggedError({ apiSecret: "the-secret" })).toEqual({
    type: "object",
    message: "",
    stack: "",
  });
});
