import { expect, test } from "vitest";
import { createWaitingLine, PRIORITIES } from "./waiting-line.ts";

const userOf = (key: string) => key.split("/")[0] ?? "";

function takeAll(line: ReturnType<typeof createWaitingLine>, limit = Infinity): string[] {
  const taken: string[] = [];
  for (let next = line.take(); next !== undefined; next = line.take()) {
    taken.push(next.key);
    if (taken.length >= limit) break;
  }
  return taken;
}

test("who has much to do waits for it, not the neighbour", () => {
  const line = createWaitingLine(userOf);
  for (let bot = 0; bot < 1_000; bot++) line.add(`busy/${bot}`, "user");
  line.add("calm/0", "user");
  line.add("calm/1", "user");
  expect(takeAll(line, 5)).toEqual(["busy/0", "calm/0", "busy/1", "calm/1", "busy/2"]);
});

test("a user who is served goes behind those who wait, also when he comes back at once", () => {
  const line = createWaitingLine(userOf);
  const served: string[] = [];
  for (const user of ["a", "b", "c"]) line.add(`${user}/0`, "user");
  for (let turn = 0; turn < 9; turn++) {
    const { key = "" } = line.take() ?? {};
    served.push(userOf(key));
    line.add(key, "user");
  }
  expect(served.join("")).toBe("abcabcabc");
});

test("a flood of changes by users leaves the other classes a share", () => {
  const line = createWaitingLine(userOf);
  for (const priority of PRIORITIES) {
    for (let each = 0; each < 300; each++) line.add(`${priority}/${each}`, priority);
  }
  const counts = Object.groupBy(takeAll(line, 256), userOf);
  const countOf = (priority: string) => counts[priority]?.length ?? 0;
  expect(PRIORITIES.map(countOf)).toEqual([192, 48, 12, 4]);
});

test("a turn that belongs to an empty class is not lost", () => {
  const line = createWaitingLine(userOf);
  for (let each = 0; each < 10; each++) line.add(`a/${each}`, "user");
  expect(takeAll(line)).toHaveLength(10);
  expect(line.take()).toBeUndefined();
});

test("a key waits once, where it was raised to, and since it was first added", () => {
  const line = createWaitingLine(userOf);
  line.add("a/0", "resync", 5);
  line.add("a/1", "resync", 6);
  line.add("a/0", "user", 7);
  line.add("a/0", "pod", 8);
  expect(line.size()).toBe(2);
  expect([line.take(), line.take(), line.take()]).toEqual([
    { key: "a/0", priority: "user", since: 5 },
    { key: "a/1", priority: "resync", since: 6 },
    undefined,
  ]);
});

test("a key can wait again after it was taken or the line was cleared", () => {
  const line = createWaitingLine(userOf);
  line.add("a/0", "user");
  expect(line.take()?.key).toBe("a/0");
  line.add("a/0", "user");
  line.clear();
  expect(line.size()).toBe(0);
  line.add("a/0", "user");
  expect(takeAll(line)).toEqual(["a/0"]);
});
