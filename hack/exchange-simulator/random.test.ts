import { expect, test } from "vitest";
import { createRandom, randomUuid } from "./random.ts";

const ids = (seed: number): readonly string[] => {
  const random = createRandom(seed);
  return Array.from({ length: 100 }, () => randomUuid(random));
};

test("a seed repeats its ids, another seed has others", () => {
  expect(ids(7)).toEqual(ids(7));
  expect(new Set([...ids(7), ...ids(8), ...ids(2 ** 33 + 7)]).size).toBe(300);
});

test("ids are UUIDs of version 4", () => {
  for (const id of ids(1)) {
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  }
});

test("numbers are spread evenly over [0, 1)", () => {
  const random = createRandom(3);
  const tenths = Array.from({ length: 10 }, () => 0);
  for (let index = 0; index < 10_000; index += 1) {
    const tenth = Math.floor(random() * 10);
    tenths[tenth] = (tenths[tenth] ?? 0) + 1;
  }
  for (const count of tenths) expect(Math.abs(count - 1_000)).toBeLessThan(150);
});
