import { setImmediate } from "node:timers";

/** A loop turn lasts this long at most, plus one piece of work and what the garbage collector takes, which is more. */
const SLICE_MS = 4;

/**
 * Lets long work take turns with timers and sockets. All who have such work share one slice a turn of the event loop: what each alone
 * would keep short would add up, because Node runs everything that is ready before it looks at timers again.
 *
 *     for (const piece of work) {
 *       if (slices.isOver()) await slices.next();
 *       handle(piece);
 *     }
 */
export function createTimeSlices(sliceMs: number) {
  const waiting: (() => void)[] = [];
  let startedAt = 0;
  let isOpen = false;

  /** True when this turn's time is used up. */
  function isOver(): boolean {
    if (!isOpen) open();
    return performance.now() - startedAt >= sliceMs;
  }

  /** Resolves in a later turn of the event loop, with a slice of its own; first come, first served. */
  function next(): Promise<void> {
    if (!isOpen) open();
    return new Promise((resolve) => waiting.push(resolve));
  }

  function open(): void {
    isOpen = true;
    startedAt = performance.now();
    setImmediate(close);
  }

  function close(): void {
    isOpen = false;
    const first = waiting.shift();
    if (first === undefined) return;
    open();
    first();
  }

  return { isOver, next };
}

/** Of this process. */
export const timeSlices = createTimeSlices(SLICE_MS);

/** Does something with each, in turns of the event loop when there are many. What is there at the same moment is not promised. */
export async function inTurns<Item>(
  items: Iterable<Item>,
  act: (item: Item) => void,
): Promise<void> {
  for (const item of items) {
    if (timeSlices.isOver()) await timeSlices.next();
    act(item);
  }
}
