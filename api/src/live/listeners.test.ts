import { expect, test } from "vitest";
import { createListeners, type EndReason } from "./listeners.ts";

/** Listeners who note what is done to them. */
function createWorld(users: number, clock: () => number = () => 0) {
  const listeners = createListeners(clock);
  const asked: string[] = [];
  const ended: [userId: string, reason: EndReason][] = [];
  const deaf = new Set<string>();
  const leaves = new Map<string, () => void>();
  function join(userId: string): void {
    listeners.add({ caller: { userId, sessionId: userId }, after: 0 }, (leave) => {
      leaves.set(userId, leave);
      const beat = () => {
        asked.push(userId);
        return !deaf.has(userId);
      };
      const end = (reason: EndReason) => {
        leave();
        ended.push([userId, reason]);
      };
      return { take: () => true, beat, end };
    });
  }
  for (let user = 0; user < users; user += 1) join(`user-${user}`);
  return { listeners, join, asked, ended, deaf, leave: (userId: string) => leaves.get(userId)?.() };
}

test("in a round each listener is asked once whether it is there, and few in a turn", () => {
  const { listeners, asked } = createWorld(1_000);
  const byTurn = Array.from({ length: 100 }, () => {
    asked.length = 0;
    listeners.beat(0.01);
    return [...asked];
  });
  expect(new Set(byTurn.flat()).size).toBe(1_000);
  expect(byTurn.map(({ length }) => length)).toEqual(Array.from({ length: 100 }, () => 10));
});

test("few are asked as seldom as many, those who came last and those after one who left too", () => {
  const { listeners, asked, join, leave } = createWorld(4);
  for (let turn = 0; turn < 16; turn += 1) listeners.beat(1 / 64);
  leave("user-1");
  join("user-4");
  for (let turn = 0; turn < 48; turn += 1) listeners.beat(1 / 64);
  expect(asked).toEqual(["user-0", "user-2", "user-3", "user-4"]);
});

test("whoever has not answered when the next question comes is ended", () => {
  const { listeners, ended, deaf } = createWorld(2);
  deaf.add("user-1");
  for (let turn = 0; turn < 64; turn += 1) listeners.beat(1 / 64);
  expect({ ended, count: listeners.count() }).toEqual({
    ended: [["user-1", "too_slow"]],
    count: 1,
  });
});

test("whoever has listened for an hour has to show a token again, and whoever came later goes on", () => {
  let nowMs = 0;
  const { listeners, ended, join } = createWorld(1, () => nowMs);
  const revocations = { hasEnded: () => false, unbrokenSinceMs: () => -Infinity };
  nowMs = 1;
  join("later");
  nowMs = 3_600_000;
  listeners.endOverdue(revocations);
  expect(ended).toEqual([]);
  nowMs += 1;
  listeners.endOverdue(revocations);
  expect(ended).toEqual([["user-0", "authenticate_again"]]);
});
