import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Priority } from "./waiting-line.ts";
import { createWorkQueue, type QueueOptions } from "./work-queue.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const BACK_OFF = { initialMs: 100, maxMs: 1_000 };

function queueOf(options: Partial<QueueOptions> & Pick<QueueOptions, "process">) {
  return createWorkQueue({
    concurrency: 4,
    backOff: BACK_OFF,
    onError: () => {},
    random: () => 0.999,
    ...options,
  });
}

test("nothing runs before start, and what was added meanwhile runs then", async () => {
  const done: string[] = [];
  const queue = queueOf({ process: async (key) => (done.push(key), {}) });
  queue.add("a", "user");
  queue.add("a", "pod");
  await vi.advanceTimersByTimeAsync(10);
  expect(done).toEqual([]);
  queue.start();
  await vi.advanceTimersByTimeAsync(10);
  expect(done).toEqual(["a"]);
});

test("a key added while it runs runs once more, never twice at once", async () => {
  let active = 0;
  let peak = 0;
  let runs = 0;
  const queue = queueOf({
    process: async () => {
      runs++;
      peak = Math.max(peak, ++active);
      await new Promise((resolve) => setTimeout(resolve, 10));
      active--;
      return {};
    },
  });
  queue.start();
  queue.add("a", "user");
  await vi.advanceTimersByTimeAsync(5);
  queue.add("a", "user");
  queue.add("a", "resync");
  await vi.advanceTimersByTimeAsync(100);
  expect({ peak, runs }).toEqual({ peak: 1, runs: 2 });
});

test("a user's change overtakes ends, pod events and looking again; within a class first come, first served", async () => {
  const done: string[] = [];
  const queue = queueOf({ concurrency: 1, process: async (key) => (done.push(key), {}) });
  const added: readonly (readonly [string, Priority])[] = [
    ["resync", "resync"],
    ["pod", "pod"],
    ["deletion", "deletion"],
    ["first", "user"],
    ["second", "user"],
    ["raised", "resync"],
    ["raised", "deletion"],
  ];
  for (const [key, priority] of added) queue.add(key, priority);
  queue.start();
  await vi.advanceTimersByTimeAsync(1);
  expect(done).toEqual(["first", "second", "deletion", "raised", "pod", "resync"]);
});

test("failures back off exponentially up to the ceiling; success forgets them", async () => {
  const at: number[] = [];
  const startedAt = Date.now();
  const queue = queueOf({
    process: async () => {
      at.push(Date.now() - startedAt);
      if (at.length <= 6) throw new Error("not yet");
      return {};
    },
  });
  queue.start();
  queue.add("a", "user");
  await vi.advanceTimersByTimeAsync(10_000);
  const gaps = at.slice(1).map((time, index) => Math.round((time - (at[index] ?? 0)) / 100) * 100);
  expect(gaps).toEqual([100, 200, 400, 800, 1_000, 1_000]);
});

test("of several later times the earliest counts", async () => {
  const done: number[] = [];
  const startedAt = Date.now();
  const queue = queueOf({ process: async () => (done.push(Date.now() - startedAt), {}) });
  queue.start();
  queue.addAfter("a", 500);
  queue.addAfter("a", 200);
  queue.addAfter("a", 900);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(done).toEqual([200]);
});

test("stop waits for what runs and starts nothing more", async () => {
  const done: string[] = [];
  const queue = queueOf({
    concurrency: 1,
    process: async (key) => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      done.push(key);
      return {};
    },
  });
  queue.start();
  queue.add("running", "user");
  queue.add("waiting", "user");
  queue.addAfter("later", 10);
  const stopped = queue.stop();
  await vi.advanceTimersByTimeAsync(1_000);
  await stopped;
  expect(done).toEqual(["running"]);
});

test("a failed pass is tried again at its own priority", async () => {
  const started: string[] = [];
  let fails = true;
  const queue = queueOf({
    concurrency: 1,
    process: async (key) => {
      if (key === "changed" && fails) throw new Error("a conflict");
      return {};
    },
    hooks: { onStart: (priority) => void started.push(priority) },
  });
  queue.start();
  queue.add("changed", "user");
  await vi.advanceTimersByTimeAsync(10);
  fails = false;
  await vi.advanceTimersByTimeAsync(200);
  expect(started).toEqual(["user", "user"]);
});

test("a key that was raised while it ran waits at its highest priority, and since it was first added", async () => {
  const waits: [string, number][] = [];
  const queue = queueOf({
    process: async () => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      return {};
    },
    hooks: { onStart: (priority, waitedMs) => void waits.push([priority, Math.round(waitedMs)]) },
  });
  queue.start();
  queue.add("a", "resync");
  await vi.advanceTimersByTimeAsync(40);
  queue.add("a", "pod");
  await vi.advanceTimersByTimeAsync(20);
  queue.add("a", "user");
  expect(queue.depth()).toBe(1);
  await vi.advanceTimersByTimeAsync(500);
  expect(waits).toEqual([
    ["resync", 0],
    ["user", 60],
  ]);
});

test("a key counts as failing from its first failed pass until one that succeeds", async () => {
  let fails = true;
  const queue = queueOf({
    process: async (key) => {
      if (fails && key === "bad") throw new Error("not yet");
      return {};
    },
  });
  queue.start();
  queue.add("bad", "user");
  queue.add("good", "user");
  await vi.advanceTimersByTimeAsync(250); // its second pass has failed too
  expect({ failing: queue.failing(), depth: queue.depth() }).toEqual({ failing: 1, depth: 0 });
  fails = false;
  await vi.advanceTimersByTimeAsync(1_000);
  expect(queue.failing()).toBe(0);
});
