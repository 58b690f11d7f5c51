import { expect, test } from "vitest";
import { healthRoutes } from "./health.ts";
import { createServer } from "./server.ts";

test("however many ask whether it is ready, each dependency is asked once in a while", async () => {
  const log = { level: "silent", stream: { write: () => {} } };
  const server = createServer({ log, bodyBytesMax: 1_000 });
  let asked = 0;
  let isBroken = false;
  const check = async () => {
    asked += 1;
    if (isBroken) throw new Error("broken");
  };
  healthRoutes(server, { database: { check, isRequired: true } });
  const statuses = async () => {
    const answers = Array.from({ length: 100 }, () => server.inject("/readyz"));
    return new Set((await Promise.all(answers)).map(({ statusCode }) => statusCode));
  };
  expect(await statuses()).toEqual(new Set([200]));
  expect(await statuses()).toEqual(new Set([200]));
  expect(asked).toBe(1);
  isBroken = true;
  await expect.poll(statuses, { timeout: 10_000 }).toEqual(new Set([503]));
  expect(asked).toBe(2);
});
