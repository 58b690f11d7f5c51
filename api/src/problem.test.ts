import { DatabaseError } from "pg";
import { expect, test } from "vitest";
import { ApiError } from "./errors.ts";
import { problemOf, toApiError } from "./problem.ts";

function databaseError(code: string): DatabaseError {
  return Object.assign(new DatabaseError("boom", 4, "error"), { code });
}

test.for<[name: string, error: unknown, code: string]>([
  ["one of ours", new ApiError("not_found", "gone"), "not_found"],
  ["Postgres shuts down", databaseError("57P01"), "database_unavailable"],
  ["a statement that was given up", databaseError("57014"), "query_too_slow"],
  ["too many connections", databaseError("53300"), "database_unavailable"],
  ["a wrong statement of ours", databaseError("42601"), "internal_error"],
  [
    "no connection",
    Object.assign(new Error("connect"), { code: "ECONNREFUSED" }),
    "database_unavailable",
  ],
  ["a query that takes too long", new Error("Query read timeout"), "database_unavailable"],
  ["anything else", new TypeError("x is not a function"), "internal_error"],
  ["not even an error", "boom", "internal_error"],
])("%s", ([, error, code]) => {
  expect(toApiError(error).code).toBe(code);
});

test("a problem tells nothing of an unforeseen error", () => {
  const problem = problemOf(toApiError(new Error("password=hunter2")), "request-1");
  expect(problem).toMatchObject({ status: 500, code: "internal_error", requestId: "request-1" });
  expect(JSON.stringify(problem)).not.toContain("hunter2");
});
