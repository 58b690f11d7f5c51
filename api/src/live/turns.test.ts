import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createTurns, PAUSE_MS } from "./turns.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("much work is done in its order, a few milliseconds at a time, and others have a while in between", () => {
  let nowMs = 0;
  const inTurns = createTurns(() => nowMs);
  const done: number[] = [];
  for (let piece = 0; piece < 10; piece++) {
    inTurns(() => {
      nowMs += 1.5;
      done.push(piece);
    });
  }
  const seen: number[] = [];
  while (done.length < 10) {
    vi.advanceTimersByTime(PAUSE_MS - 1); // turns of the event loop in which others are taken in
    seen.push(done.length);
    vi.advanceTimersByTime(1);
  }
  expect(seen).toEqual([0, 3, 6, 9]);
  expect(done).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  inTurns(() => done.push(10));
  vi.advanceTimersByTime(PAUSE_MS);
  expect(done).toHaveLength(11);
});
