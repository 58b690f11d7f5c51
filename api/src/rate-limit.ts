/** A window of one minute per key. */
export const WINDOW_MS = 60_000;
/** Above this the oldest windows are forgotten: memory stays bounded whoever knocks. */
const KEYS_MAX = 100_000;

export interface RateState {
  readonly allowed: boolean;
  readonly limit: number;
  readonly remaining: number;
  readonly resetSeconds: number;
}

/** Counts requests; 0 means no limit. */
export interface RateLimiter {
  take(key: string, limit: number): RateState | Promise<RateState>;
  /** Rejects when limits do not hold for all processes together; absent when they are not meant to. */
  readonly check?: () => Promise<void>;
}

/** Counts requests per key and minute, or another window, in this process. */
export function createRateLimiter(now: () => number, windowMs = WINDOW_MS) {
  const windows = new Map<string, { startedAtMs: number; count: number }>();

  /** Counts one request of `key` against `limit` a window; 0 means no limit. */
  function take(key: string, limit: number): RateState {
    const at = now();
    let window = windows.get(key);
    if (window === undefined || at - window.startedAtMs >= windowMs) {
      windows.delete(key);
      window = { startedAtMs: at, count: 0 };
      windows.set(key, window);
      forgetOldest();
    }
    window.count++;
    const resetMs = window.startedAtMs + windowMs - at;
    return stateOf({ count: window.count, limit, resetMs });
  }

  function forgetOldest(): void {
    if (windows.size <= KEYS_MAX) return;
    const oldest = windows.keys().next().value;
    if (oldest !== undefined) windows.delete(oldest);
  }

  return { take };
}

interface Counted {
  /** Requests of the running window, this one included. */
  readonly count: number;
  readonly limit: number;
  readonly resetMs: number;
}

export function stateOf({ count, limit, resetMs }: Counted): RateState {
  return {
    allowed: limit === 0 || count <= limit,
    limit,
    remaining: Math.max(0, limit - count),
    resetSeconds: Math.ceil(resetMs / 1_000),
  };
}

/** Of an answer, what its fields are written by. */
interface Answer {
  header(name: string, value: string): unknown;
}

/**
 * Tells in the draft RateLimit header fields (draft-ietf-httpapi-ratelimit-headers) how a caller stands with a limit. What is the same for
 * all answers is put together once.
 */
export function rateLimitFields(policy: string, limit: number) {
  const quota = `"${policy}";q=${limit};w=${WINDOW_MS / 1_000}`;
  const left = `"${policy}";r=`;
  return (reply: Answer, { remaining, resetSeconds }: RateState): void => {
    reply.header("ratelimit-policy", quota);
    reply.header("ratelimit", `${left}${remaining};t=${resetSeconds}`);
  };
}
