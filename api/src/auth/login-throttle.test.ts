import { expect, test } from "vitest";
import { createLoginThrottle } from "./login-throttle.ts";

test("ten failures close one account to one address for 15 minutes", () => {
  let now = 0;
  const throttle = createLoginThrottle(() => now);
  for (let failure = 0; failure < 9; failure++)
    throttle.begin({ address: "1.1.1.1", account: "a" });
  expect(throttle.retryAfterSeconds({ address: "1.1.1.1", account: "a" })).toBeUndefined();
  throttle.begin({ address: "1.1.1.1", account: "a" });
  expect(throttle.retryAfterSeconds({ address: "1.1.1.1", account: "a" })).toBe(900);
  expect(throttle.retryAfterSeconds({ address: "1.1.1.1", account: "b" })).toBeUndefined();
  expect(throttle.retryAfterSeconds({ address: "2.2.2.2", account: "a" })).toBeUndefined();
  now = 900_000;
  expect(throttle.retryAfterSeconds({ address: "1.1.1.1", account: "a" })).toBeUndefined();
});

test("a success forgets the account's failures, and an address that tries many accounts is closed", () => {
  const throttle = createLoginThrottle(() => 0);
  for (let failure = 0; failure < 9; failure++)
    throttle.begin({ address: "1.1.1.1", account: "a" });
  throttle.succeeded({ address: "1.1.1.1", account: "a" });
  throttle.begin({ address: "1.1.1.1", account: "a" });
  throttle.withdraw({ address: "1.1.1.1", account: "a" });
  expect(throttle.retryAfterSeconds({ address: "1.1.1.1", account: "a" })).toBeUndefined();
  for (let account = 0; account < 92; account++)
    throttle.begin({ address: "1.1.1.1", account: `user-${account}` });
  expect(throttle.retryAfterSeconds({ address: "1.1.1.1", account: "new" })).toBe(900);
});

test("an address is closed for as long each time: many people may sit behind it", () => {
  let now = 0;
  const throttle = createLoginThrottle(() => now);
  for (let round = 0; round < 3; round++) {
    for (let account = 0; account < 100; account++)
      throttle.begin({ address: "1.1.1.1", account: `user-${account}` });
    expect(throttle.retryAfterSeconds({ address: "1.1.1.1", account: "new" })).toBe(900);
    now += 900_000;
  }
});

test("whoever goes on after a closing has one attempt, and waits twice as long each time, up to a day", () => {
  let now = 0;
  const throttle = createLoginThrottle(() => now);
  for (let failure = 0; failure < 10; failure++)
    throttle.begin({ address: "1.1.1.1", account: "a" });
  const waits: (number | undefined)[] = [];
  for (let closing = 0; closing < 9; closing++) {
    const wait = throttle.retryAfterSeconds({ address: "1.1.1.1", account: "a" }) ?? 0;
    waits.push(wait / 900);
    now += wait * 1_000;
    expect(throttle.retryAfterSeconds({ address: "1.1.1.1", account: "a" })).toBeUndefined();
    throttle.begin({ address: "1.1.1.1", account: "a" });
  }
  expect(waits).toEqual([1, 2, 4, 8, 16, 32, 64, 96, 96]);
});

test("whoever keeps quiet for as long as the next closing would be starts anew", () => {
  let now = 0;
  const throttle = createLoginThrottle(() => now);
  for (let failure = 0; failure < 10; failure++)
    throttle.begin({ address: "1.1.1.1", account: "a" });
  now = 900_000 + 1_800_000;
  for (let failure = 0; failure < 9; failure++)
    throttle.begin({ address: "1.1.1.1", account: "a" });
  expect(throttle.retryAfterSeconds({ address: "1.1.1.1", account: "a" })).toBeUndefined();
});

test("an attempt that was never judged after a closing is given back", () => {
  let now = 0;
  const throttle = createLoginThrottle(() => now);
  for (let failure = 0; failure < 10; failure++)
    throttle.begin({ address: "1.1.1.1", account: "a" });
  now = 900_000;
  throttle.begin({ address: "1.1.1.1", account: "a" });
  throttle.withdraw({ address: "1.1.1.1", account: "a" });
  expect(throttle.retryAfterSeconds({ address: "1.1.1.1", account: "a" })).toBeUndefined();
});

const guessFromEverywhere = (throttle: ReturnType<typeof createLoginThrottle>, guesses: number) => {
  for (let guess = 0; guess < guesses; guess++) {
    throttle.begin({ address: `10.0.${guess >> 3}.1`, account: "a" });
  }
};

test("a hundred addresses have a hundred guesses of one account a day between them, then one an hour at last", () => {
  let now = 0;
  const throttle = createLoginThrottle(() => now);
  const fresh = { address: "192.0.2.1", account: "a" };
  guessFromEverywhere(throttle, 99);
  now = 23 * 3_600_000;
  expect(throttle.retryAfterSeconds(fresh)).toBeUndefined();
  guessFromEverywhere(throttle, 1);
  const waits: (number | undefined)[] = [];
  for (let closing = 0; closing < 4; closing++) {
    const wait = throttle.retryAfterSeconds(fresh) ?? 0;
    waits.push(wait / 900);
    now += wait * 1_000;
    expect(throttle.retryAfterSeconds(fresh)).toBeUndefined();
    throttle.begin({ address: `10.1.${closing}.1`, account: "a" });
  }
  expect(waits).toEqual([1, 2, 4, 4]);
  expect(throttle.retryAfterSeconds({ address: "192.0.2.1", account: "b" })).toBeUndefined();
  now += 3_600_000 + 86_400_000;
  guessFromEverywhere(throttle, 99);
  expect(throttle.retryAfterSeconds(fresh)).toBeUndefined();
});

test("strangers do not make a device wait that was the user's, and it has ten guesses of its own", () => {
  const throttle = createLoginThrottle(() => 0);
  const own = { address: "10.0.0.1", account: "a", device: "phone" };
  guessFromEverywhere(throttle, 100);
  expect(throttle.retryAfterSeconds(own)).toBeUndefined();
  for (let guess = 0; guess < 10; guess++) throttle.begin(own);
  expect(throttle.retryAfterSeconds(own)).toBe(900);
  throttle.succeeded({ ...own, device: "laptop" });
  expect(throttle.retryAfterSeconds({ address: "192.0.2.1", account: "a" })).toBe(900);
});
