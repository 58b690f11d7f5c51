import { type RateLimiter, stateOf } from "./rate-limit.ts";

/** A request waits so long for the count of all processes, and then goes by that of its own. */
const ANSWER_LIMIT_MS = 100;
/** Between questions to a store that does not answer. */
const AWAY_MS = 1_000;

/** Requests of a key in its running minute, counted by all processes together. */
export interface SharedCounter {
  /** Counts one more. @throws Error when the store does not answer */
  count(key: string): Promise<{ readonly count: number; readonly resetMs: number }>;
}

export interface SharedRateLimiterDeps {
  readonly counter: SharedCounter;
  /** Counts in this process while the store is away. */
  readonly own: RateLimiter;
  /** Milliseconds on a clock that never jumps. */
  readonly clock: () => number;
  readonly onAway: (error: unknown) => void;
}

/**
 * Limits that hold for all processes together. While the store is away each process counts for itself, so that nobody is kept
 * out and the limit is at most multiplied by the number of processes; the store is asked again after a second.
 */
export function createSharedRateLimiter(deps: SharedRateLimiterDeps): RateLimiter {
  const { counter, own, clock, onAway } = deps;
  let awayUntil = 0;

  return {
    take: async (key, limit) => {
      if (limit === 0 || clock() < awayUntil) return own.take(key, limit);
      try {
        const { count, resetMs } = await inTime(counter.count(key));
        return stateOf({ count, limit, resetMs });
      } catch (error) {
        awayUntil = clock() + AWAY_MS;
        onAway(error);
        return own.take(key, limit);
      }
    },
    check: async () => void (await inTime(counter.count("readiness"))),
  };
}

async function inTime<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("no answer in time")), ANSWER_LIMIT_MS);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
