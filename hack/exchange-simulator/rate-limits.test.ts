import { expect, test } from "vitest";
import { RateLimits } from "./rate-limits.ts";
import { changedSettings, defaultSettings, type SettingsChange } from "./settings.ts";

const START_MS = 1_000_000;
const settingsWith = (change: SettingsChange) => changedSettings(defaultSettings, change);

test("a window is the last second of one caller and endpoint", () => {
  const limits = new RateLimits();
  const settings = settingsWith({ requestsPerSecond: 2 });
  const remaining = (caller: string, endpoint: string, atMs: number) =>
    limits.read({ caller, endpoint }, settings, START_MS + atMs)?.remaining;
  expect([0, 400, 800].map((ms) => remaining("a", "x", ms))).toEqual([1, 0, -1]);
  expect(remaining("b", "x", 800)).toBe(1);
  expect(remaining("a", "y", 800)).toBe(1);
  // The first one has left the window; what was refused never was in it.
  expect([1_000, 1_200].map((ms) => remaining("a", "x", ms))).toEqual([0, -1]);
});

test("a spent window says when it has room again", () => {
  const limits = new RateLimits();
  const settings = settingsWith({ requestsPerSecond: 1 });
  const request = { caller: "a", endpoint: "x" };
  expect(limits.read(request, settings, START_MS)?.resetMs).toBe(START_MS);
  expect(limits.read(request, settings, START_MS + 300)?.resetMs).toBe(START_MS + 1_000);
});

test("a ban begins with the request that is too many and ends by itself", () => {
  const limits = new RateLimits();
  const settings = settingsWith({ requestsPer5Seconds: 2, banMs: 60_000 });
  const banned = (atMs: number) => limits.isBanned("10.0.0.1", settings, START_MS + atMs);
  expect([0, 1, 2, 6_000, 60_001, 60_002].map(banned)).toEqual([
    false,
    false,
    true,
    true,
    true,
    false,
  ]);
  expect(limits.isBanned("10.0.0.2", settings, START_MS + 3)).toBe(false);
});

test("without a limit nothing is counted", () => {
  const limits = new RateLimits();
  expect(limits.read({ caller: "a", endpoint: "x" }, defaultSettings, START_MS)).toBeUndefined();
  expect(limits.isBanned("10.0.0.1", defaultSettings, START_MS)).toBe(false);
});
