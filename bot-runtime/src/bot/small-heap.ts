import type { Clock } from "../clock.ts";

const LOOK_EVERY_MS = 10_000;
/** Two pages of V8's heap. */
const GROWTH_BYTES = 512 * 1_024;

export interface Heap {
  /** What the heap takes of the machine, garbage and half-empty pages included. */
  readonly bytes: () => number;
  /** Collects all that can be collected; stops the process meanwhile. */
  readonly collect: () => void;
}

/**
 * Collects a heap as soon as it has grown a little, first of all what the start left behind. V8 itself waits until it has grown by
 * 9 MB, more than a bot allocates for good in weeks.
 */
export function keepHeapSmall({ bytes, collect }: Heap, clock: Pick<Clock, "every">): void {
  let collectedBytes = 0;
  clock.every(LOOK_EVERY_MS, () => {
    if (bytes() - collectedBytes < GROWTH_BYTES) return;
    collect();
    collectedBytes = bytes();
  });
}
