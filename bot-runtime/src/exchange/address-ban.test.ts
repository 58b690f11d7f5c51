import { expect, test } from "vitest";
import { createAddressBan } from "./address-ban.ts";

function startBan() {
  const clock = { nowMs: 0 };
  const ban = createAddressBan(() => clock.nowMs, 60_000);
  return { ban, clock, isTold: () => ban.refusal()?.fault === "AddressBanned" };
}

test("a banned address asks ever more rarely, at least once a minute", () => {
  const { ban, clock, isTold } = startBan();
  const askedAt: number[] = [];
  for (; clock.nowMs < 300_000; clock.nowMs += 250) {
    if (isTold()) continue;
    askedAt.push(clock.nowMs / 1_000);
    ban.note();
    ban.note(); // another request that was under way
  }
  expect(askedAt).toEqual([0, 1, 3, 7, 15, 31, 63, 123, 183, 243]);
});

test("nobody else asks while the one try is under way", () => {
  const { ban, clock, isTold } = startBan();
  ban.note();
  clock.nowMs += 1_000;
  expect([isTold(), isTold()]).toEqual([false, true]);
  clock.nowMs += 2_000; // no answer came
  expect([isTold(), isTold()]).toEqual([false, true]);
});

test("any other answer ends the ban, and the next one begins with a short pause", () => {
  const { ban, clock, isTold } = startBan();
  for (let tries = 0; tries < 6; tries += 1) {
    ban.note();
    clock.nowMs += 60_000;
  }
  ban.note();
  expect(isTold()).toBe(true);
  ban.lift();
  expect(isTold()).toBe(false);
  ban.note();
  clock.nowMs += 1_000;
  expect(isTold()).toBe(false);
});
