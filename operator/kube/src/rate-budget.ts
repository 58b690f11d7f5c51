import { setTimeout as sleep } from "node:timers/promises";

/** So many requests a second on average; after a rest, so many at once. */
export interface RateBudget {
  readonly perSecond: number;
  readonly burst: number;
}

/** Told of a request that has waited, before it goes; one that was given up while it waited is not told of. */
export type OnWait = (waitedMs: number) => void;

/**
 * Lets requests pass within the budget, none before its place in the order in which they came (the generic cell rate algorithm: all that is kept is the time
 * at which the last one that was let through would have been due at the even pace). Priorities need no place here: the work queue
 * decides what runs, and only as many requests wait as it has workers. `onWait` is told how long each that had to wait has waited.
 */
export function createRateLimit(
  { perSecond, burst }: RateBudget,
  {
    onWait,
    clock = () => performance.now(),
  }: { readonly onWait?: OnWait | undefined; readonly clock?: () => number } = {},
) {
  const paceMs = 1_000 / perSecond;
  let dueAt = -Infinity;

  /** Resolves when the request may go. @throws the signal's reason when it is aborted first. */
  return async (signal?: AbortSignal): Promise<void> => {
    signal?.throwIfAborted();
    const cameAt = clock();
    dueAt = Math.max(dueAt, cameAt) + paceMs;
    const mayGoAt = dueAt - burst * paceMs;
    if (mayGoAt <= cameAt) return;
    try {
      // Timers count whole milliseconds and may ring a fraction early.
      for (let waitMs = mayGoAt - clock(); waitMs > 0; waitMs = mayGoAt - clock()) {
        await sleep(Math.ceil(waitMs), undefined, signal === undefined ? {} : { signal });
      }
    } catch (error) {
      // Whoever waits already keeps its time; whoever comes next gets the place.
      dueAt -= paceMs;
      throw error;
    }
    onWait?.(clock() - cameAt);
  };
}
