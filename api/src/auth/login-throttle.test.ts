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

test("an address is closed for as long each time: many people may sit behind it", () => {
  let now = 0;
  const throttle = createLoginThrottle(() => now);
  for (let round = 0; round < 3; round++) {
    for (let account = 0; account < 100; account++) throttle.begin("1.1.1.1", `user-${account}`);
    expect(throttle.retryAfterSeconds("1.1.1.1", "new")).toBe(900);
    now += 900_000;
  }
});

test("whoever goes on after a closing has one attempt, and waits twice as long each time, up to a day", () => {
  let now = 0;
  const throttle = createLoginThrottle(() => now);
  for (let failure = 0; failure < 10; failure++) throttle.begin("1.1.1.1", "a");
  const waits: (number | undefined)[] = [];
  for (let closing = 0; closing < 9; closing++) {
    const wait = throttle.retryAfterSeconds("1.1.1.1", "a") ?? 0;
    waits.push(wait / 900);
    now += wait * 1_000;
    expect(throttle.retryAfterSeconds("1.1.1.1", "a")).toBeUndefined();
    throttle.begin("1.1.1.1", "a");
  }
  expect(waits).toEqual([1, 2, 4, 8, 16, 32, 64, 96, 96]);
});

test("whoever keeps quiet for as long as the next closing would be starts anew", () => {
  let now = 0;
  const throttle = createLoginThrottle(() => now);
  for (let failure = 0; failure < 10; failure++) throttle.begin("1.1.1.1", "a");
  now = 900_000 + 1_800_000;
  for (let failure = 0; failure < 9; failure++) throttle.begin("1.1.1.1", "a");
  expect(throttle.retryAfterSeconds("1.1.1.1", "a")).toBeUndefined();
});

test("an attempt that was never judged after a closing is given back", () => {
  let now = 0;
  const throttle = createLoginThrottle(() => now);
  for (let failure = 0; failure < 10; failure++) throttle.begin("1.1.1.1", "a");
  now = 900_000;
  throttle.begin("1.1.1.1", "a");
  throttle.withdraw("1.1.1.1", "a");
  expect(throttle.retryAfterSeconds("1.1.1.1", "a")).toBeUndefined();
});
