import { expect, test } from "vitest";
import { keepHeapSmall } from "./small-heap.ts";

const MEGABYTE = 1_048_576;

test("a heap is collected after the start, and then whenever it has grown", () => {
  let bytes = 12 * MEGABYTE;
  const collected: number[] = [];
  const looks: (() => void)[] = [];
  const heap = {
    bytes: () => bytes,
    collect: () => {
      collected.push(bytes / MEGABYTE);
      bytes = 8 * MEGABYTE;
    },
  };
  keepHeapSmall(heap, {
    every: (_ms, run) => {
      looks.push(run);
      return () => looks.pop();
    },
  });
  expect(collected).toEqual([]);
  for (const now of [12, 8, 8.25, 8.75, 8.25, 8.5]) {
    bytes = now * MEGABYTE;
    looks[0]?.();
  }
  expect(collected).toEqual([12, 8.75, 8.5]);
});
