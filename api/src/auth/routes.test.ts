import { expect, test, vi } from "vitest";
import { buildApp } from "../app.ts";
import { createPool } from "../database.ts";
import { ApiError } from "../errors.ts";
import { nothingBehind } from "../openapi/document.ts";

test("while no password can be judged a log-in is refused without a query, and who guessed too often is told that", async () => {
  const nothing = nothingBehind();
  const authPool = createPool({ url: "postgres://localhost", connectionsMax: 1 });
  const query = vi.spyOn(authPool, "query").mockImplementation(async () => ({ rows: [] }));
  const assertRoom = vi.fn<() => void>();
  const app = await buildApp({
    ...nothing,
    authPool,
    audit: { push: () => {}, refuse: () => {} },
    passwords: { ...nothing.passwords, assertRoom, compare: async () => false },
  });
  const logIn = async (name: string) => {
    query.mockClear();
    const payload = { email: `${name}@example.com`, password: "not the one" };
    const { statusCode } = await app.inject({ method: "POST", url: "/api/auth/login", payload });
    return { status: statusCode, queries: query.mock.calls.length };
  };
  for (let guess = 0; guess < 10; guess += 1)
    expect(await logIn("guessed")).toEqual({ status: 401, queries: 1 });
  assertRoom.mockImplementation(() => {
    throw new ApiError("login_overloaded", "try again");
  });
  expect(await logIn("ann")).toEqual({ status: 503, queries: 0 });
  expect(await logIn("guessed")).toEqual({ status: 429, queries: 1 });
  await app.close();
});
