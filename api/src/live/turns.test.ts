import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { createTurns } from "./turns.ts";

test("much work is done in its order, a few milliseconds a turn, and others come in between", async () => {
  let nowMs = 0;
  const inTurns = createTurns(() => nowMs);
  const done: number[] = [];
  for (let piece = 0; piece < 10; piece++) {
    inTurns(() => {
      nowMs += 1.5;
      done.push(piece);
    });
  }
  expect(done).toEqual([]);
  const seen: number[] = [];
  while (done.length < 10) {
    await nextTurn();
    seen.push(done.length);
  }
  expect(seen).toEqual([3, 6, 9, 10]);
  expect(done).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  inTurns(() => done.push(10));
  await nextTurn();
  expect(done).toHaveLength(11);
});
