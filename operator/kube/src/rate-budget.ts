import { setTimeout as sleep } from "node:timers/promises";

/** So many requests a second on average; after a rest, so many at once. */
export interface RateBudget {
  readonly perSecond: number;
  readonly burst: number;
}

/**
 * Lets requests pass within the budget, none before its place in the order in which they came (the generic cell rate algorithm: all that is kept is the time
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
    dueAt = Math.max(dueAt, clock()) + paceMs;
    const mayGoAt = dueAt - burst * paceMs;
    // Timers count whole milliseconds and may ring a fraction early.
    for (let waitMs = mayGoAt - clock(); waitMs > 0; waitMs = mayGoAt - clock()) {
      await sleep(Math.ceil(waitMs), undefined, signal === undefined ? {} : { signal });
    }
  };
}
