import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { systemClock } from "./clock.ts";

test("a pause ends at its time, by its signal, and at once when that was given before", async () => {
  const ending = new AbortController();
  const long = systemClock.sleep(3_600_000, ending.signal);
  await systemClock.sleep(1, ending.signal);
  // Only the long one still listens.
  expect(getEventListeners(ending.signal, "abort").length).toBe(1);
  ending.abort();
  await long;
  await systemClock.sleep(3_600_000, ending.signal);
  expect(getEventListeners(ending.signal, "abort").length).toBe(0);
});
