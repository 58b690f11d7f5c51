import { expect, test } from "vitest";
import { createLoginThrottle } from "./login-throttle.ts";

test("ten failures close one account to one address for 15 minutes", () => {
  let now = 0;
  const throttle = createLoginThrottle(() => now);
  for (let failure = 0; failure < 9; failure++) throttle.begin("1.1.1.1", "a");
  expect(throttle.retryAfterSeconds("1.1.1.1", "a")).toBeUndefined();
  throttle.begin("1.1.1.1", "a");
  expect(throttle.retryAfterSeconds("1.1.1.1", "a")).toBe(900);
  expect(throttle.retryAfterSeconds("1.1.1.1", "b")).toBeUndefined();
  expect(throttle.retryAfterSeconds("2.2.2.2", "a")).toBeUndefined();
  now = 900_000;
  expect(throttle.retryAfterSeconds("1.1.1.1", "a")).toBeUndefined();
});

test("a success forgets the account's failures, and an address that tries many accounts is closed", () => {
  const throttle = createLoginThrottle(() => 0);
  for (let failure = 0; failure < 9; failure++) throttle.begin("1.1.1.1", "a");
  throttle.succeeded("1.1.1.1", "a");
  throttle.begin("1.1.1.1", "a");
  throttle.withdraw("1.1.1.1", "a");
  expect(throttle.retryAfterSeconds("1.1.1.1", "a")).toBeUndefined();
  for (let account = 0; account < 92; account++) throttle.begin("1.1.1.1", `user-${account}`);
  expect(throttle.retryAfterSeconds("1.1.1.1", "new")).toBe(900);
});
