import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createKeyAlarms } from "./key-alarms.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function alarmsOf() {
  const rung: string[] = [];
  const startedAt = performance.now();
  const alarms = createKeyAlarms<string>(
    (key, note) => void rung.push(`${Math.round(performance.now() - startedAt)} ${key} ${note}`),
  );
  return { rung, alarms };
}

test("alarms ring in the order of their times, whatever order they were set in", async () => {
  const { rung, alarms } = alarmsOf();
  const delays = Array.from({ length: 200 }, (_, index) => ((index * 7_919) % 200) + 1);
  for (const delayMs of delays) alarms.set(`key-${delayMs}`, delayMs, "");
  await vi.advanceTimersByTimeAsync(1_000);
  expect(rung).toEqual(
    delays.toSorted((a, b) => a - b).map((delayMs) => `${delayMs} key-${delayMs} `),
  );
  expect(alarms.size()).toBe(0);
});

test("of several alarms of a key the earliest counts, and rings once", async () => {
  const { rung, alarms } = alarmsOf();
  alarms.set("a", 500, "late");
  alarms.set("a", 200, "early");
  alarms.set("a", 900, "later");
  await vi.advanceTimersByTimeAsync(2_000);
  expect(rung).toEqual(["200 a early"]);
});

/** Every third key is brought forward, the last ones most. */
const late = (key: number) => 1_000 + ((key * 7_919) % 200);
const moved = (key: number) => (key % 3 === 0 ? 501 - key : late(key));

test("an alarm that is set earlier takes the place of its own, wherever that is", async () => {
  const { rung, alarms } = alarmsOf();
  const keys = Array.from({ length: 200 }, (_, index) => index + 1);
  for (const key of keys) alarms.set(`key-${key}`, late(key), "");
  for (const key of keys) alarms.set(`key-${key}`, moved(key), "");
  await vi.advanceTimersByTimeAsync(2_000);
  const inOrder = keys.toSorted((a, b) => moved(a) - moved(b));
  expect(rung).toEqual(inOrder.map((key) => `${moved(key)} key-${key} `));
});

test("nothing is left of what an earlier alarm replaces: a hundred passes under a halt that ends tomorrow", async () => {
  const { rung, alarms } = alarmsOf();
  for (let pass = 0; pass < 100; pass++) {
    for (const key of ["a", "b", "c"]) {
      alarms.set(key, 86_400_000, "the halt's end");
      alarms.set(key, 100, "a report");
    }
    expect(alarms.size()).toBe(3);
    await vi.advanceTimersByTimeAsync(200);
    expect(alarms.size()).toBe(0);
  }
  expect(rung).toHaveLength(300);
});

test("after clear nothing rings", async () => {
  const { rung, alarms } = alarmsOf();
  alarms.set("a", 10, "");
  alarms.clear();
  await vi.advanceTimersByTimeAsync(100);
  alarms.set("b", 10, "");
  await vi.advanceTimersByTimeAsync(100);
  expect(rung).toEqual(["110 b "]);
});
