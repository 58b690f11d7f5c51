import { setTimeout as sleep } from "node:timers/promises";

/** So many requests a second on average; after a rest, so many at once. */
export interface RateBudget {
  readonly perSecond: number;
  readonly burst: number;
}

/**
 * Lets requests pass within the budget, in the order in which they came (the generic cell rate algorithm: all that is kept is the time
 * at which the last one that was let through would have been due at the even pace). Priorities need no place here: the work queue
 * decides what runs, and only as many requests wait as it has workers.
 */
export function createRateLimit(
  { perSecond, burst }: RateBudget,
  clock: () => number = () => performance.now(),
) {
  const paceMs = 1_000 / perSecond;
  let dueAt = -Infinity;

  /** Resolves when the request may go. @throws the signal's reason when it is aborted first. */
  return async (signal?: AbortSignal): Promise<void> => {
    const now = clock();
    dueAt = Math.max(dueAt, now) + paceMs;
    const waitMs = dueAt - now - burst * paceMs;
    if (waitMs <= 0) return;
    await sleep(waitMs, undefined, signal === undefined ? {} : { signal });
  };
}
