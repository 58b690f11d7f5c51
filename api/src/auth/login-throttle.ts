import { clientOf } from "../network.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const FIRST_WAIT_MS = 15 * MINUTE_MS;
const KEYS_MAX = 100_000;

/** Logins that may be tried in vain before the next must wait. */
interface Limit {
  readonly key: string;
  readonly max: number;
  /** Failures count together for so long, and so long nothing may fail after a closing for it to be forgotten. */
  readonly windowMs: number;
  /** How long a closing may become, twice as long each time; undefined: each lasts as long as the first. */
  readonly growsToMs?: number;
}

/** Who tries what. */
export interface Attempt {
  readonly address: string;
  /** Whom it is about, whether they exist or not. */
  readonly account: string;
  /** On which the account's user was logged in before; undefined for a stranger's. */
  readonly device?: string | undefined;
}

interface Attempts {
  readonly count: number;
  readonly endsAtMs: number;
  /** How long the next closing lasts. */
  readonly waitMs: number;
}

/**
 * The one that a success forgets comes first. Strangers share a limit for each account, so that many addresses help nobody to
 * guess. It would lock the user out as well: hence a device that has been theirs counts by itself, as OWASP's "Slow Down Online
 * Guessing Attacks with Device Cookies" has it.
 */
function limitsOf({ address, account, device }: Attempt): readonly [Limit, ...Limit[]] {
  const client = clientOf(address);
  const own = { max: 10, windowMs: FIRST_WAIT_MS, growsToMs: DAY_MS };
  // Not growing: one of the many who sit behind one address and mistypes would close it to all for a day.
  const everybody = { key: client, max: 100, windowMs: FIRST_WAIT_MS };
  if (device !== undefined) return [{ key: `${device} ${account}`, ...own }, everybody];
  const strangers = { key: `* ${account}`, max: 100, windowMs: DAY_MS, growsToMs: HOUR_MS };
  return [{ key: `${client} ${account}`, ...own }, strangers, everybody];
}

/**
 * Counts logins that have not succeeded, for a while, in this process. They count from their beginning: a hundred at once
 * must not all slip through before the first has failed. Whoever goes on with an account after a closing has one attempt, and then
 * waits twice as long.
 */
export function createLoginThrottle(now: () => number) {
  const attempts = new Map<string, Attempts>();

  function current({ key, max, windowMs, growsToMs }: Limit): Attempts | undefined {
    const entry = attempts.get(key);
    if (entry === undefined || entry.endsAtMs > now()) return entry;
    attempts.delete(key);
    if (growsToMs === undefined || entry.count < max) return undefined;
    const waitMs = Math.min(2 * entry.waitMs, growsToMs);
    const endsAtMs = entry.endsAtMs + Math.max(waitMs, windowMs);
    if (endsAtMs <= now()) return undefined; // quiet for long enough
    const again = { count: max - 1, endsAtMs, waitMs };
    attempts.set(key, again);
    return again;
  }

  /** Seconds until such an attempt may be made again; undefined: now. */
  function retryAfterSeconds(attempt: Attempt): number | undefined {
    const waits = limitsOf(attempt).map((limit) => {
      const entry = current(limit);
      return entry !== undefined && entry.count >= limit.max ? entry.endsAtMs - now() : 0;
    });
    const waitMs = Math.max(...waits);
    return waitMs > 0 ? Math.ceil(waitMs / 1_000) : undefined;
  }

  function begin(attempt: Attempt): void {
    for (const limit of limitsOf(attempt)) {
      const { count, endsAtMs, waitMs } = current(limit) ?? {
        count: 0,
        endsAtMs: now() + limit.windowMs,
        waitMs: FIRST_WAIT_MS,
      };
      const isClosed = count + 1 >= limit.max;
      const endsAt = isClosed ? now() + waitMs : endsAtMs;
      attempts.delete(limit.key); // its next insertion makes it the youngest
      attempts.set(limit.key, { count: count + 1, endsAtMs: endsAt, waitMs });
      const oldest = attempts.size > KEYS_MAX ? attempts.keys().next().value : undefined;
      if (oldest !== undefined) attempts.delete(oldest);
    }
  }

  /** The attempt was never judged: it does not count. */
  function withdraw(attempt: Attempt): void {
    for (const limit of limitsOf(attempt)) {
      const entry = current(limit);
      if (entry !== undefined) attempts.set(limit.key, { ...entry, count: entry.count - 1 });
    }
  }

  /** What strangers have tried with the account stays: that its user logs in makes them no friends. */
  function succeeded(attempt: Attempt): void {
    withdraw(attempt);
    attempts.delete(limitsOf(attempt)[0].key);
  }

  return { retryAfterSeconds, begin, withdraw, succeeded };
}
export type LoginThrottle = ReturnType<typeof createLoginThrottle>;
