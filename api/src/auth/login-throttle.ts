import { clientOf } from "../network.ts";

/** Logins that an address may try in vain with one account, and with all accounts together, in a window. */
const FAILURES_PER_ACCOUNT_MAX = 10;
const FAILURES_PER_ADDRESS_MAX = 100;
const FIRST_WAIT_MS = 15 * 60_000;
const WAIT_MS_MAX = 24 * 3_600_000;
const KEYS_MAX = 100_000;

interface Attempts {
  readonly count: number;
  readonly endsAtMs: number;
  /** How long the next closing lasts. */
  readonly waitMs: number;
}

interface Limit {
  readonly key: string;
  readonly max: number;
  /** Not where many people sit behind one address: one who mistypes would close it to all for a day. */
  readonly isGrowing: boolean;
}

function limitsOf(address: string, email: string): readonly [account: Limit, address: Limit] {
  const client = clientOf(address);
  return [
    { key: `${client} ${email}`, max: FAILURES_PER_ACCOUNT_MAX, isGrowing: true },
    { key: client, max: FAILURES_PER_ADDRESS_MAX, isGrowing: false },
  ];
}

/**
 * Counts logins that have not succeeded, for a while, in this process. They count from their beginning: a hundred at once
 * must not all slip through before the first has failed. Whoever goes on with an account after a closing has one attempt, and then
 * waits twice as long.
 */
export function createLoginThrottle(now: () => number) {
  const attempts = new Map<string, Attempts>();

  function current({ key, max, isGrowing }: Limit): Attempts | undefined {
    const entry = attempts.get(key);
    if (entry === undefined || entry.endsAtMs > now()) return entry;
    attempts.delete(key);
    if (!isGrowing || entry.count < max) return undefined;
    const waitMs = Math.min(2 * entry.waitMs, WAIT_MS_MAX);
    if (entry.endsAtMs + waitMs <= now()) return undefined; // quiet for as long as the next closing would be
    const again = { count: max - 1, endsAtMs: entry.endsAtMs + waitMs, waitMs };
    attempts.set(key, again);
    return again;
  }

  /** Seconds until this address may try this account again; undefined: now. */
  function retryAfterSeconds(address: string, email: string): number | undefined {
    const waits = limitsOf(address, email).map((limit) => {
      const entry = current(limit);
      return entry !== undefined && entry.count >= limit.max ? entry.endsAtMs - now() : 0;
    });
    const waitMs = Math.max(...waits);
    return waitMs > 0 ? Math.ceil(waitMs / 1_000) : undefined;
  }

  function begin(address: string, email: string): void {
    for (const limit of limitsOf(address, email)) {
      const { count, endsAtMs, waitMs } = current(limit) ?? {
        count: 0,
        endsAtMs: now() + FIRST_WAIT_MS,
        waitMs: FIRST_WAIT_MS,
      };
      const isClosed = count + 1 >= limit.max;
      const endsAt = isClosed ? now() + waitMs : endsAtMs;
      attempts.set(limit.key, { count: count + 1, endsAtMs: endsAt, waitMs });
      const oldest = attempts.size > KEYS_MAX ? attempts.keys().next().value : undefined;
      if (oldest !== undefined) attempts.delete(oldest);
    }
  }

  /** The attempt was never judged: it does not count. */
  function withdraw(address: string, email: string): void {
    for (const limit of limitsOf(address, email)) {
      const entry = current(limit);
      if (entry !== undefined) attempts.set(limit.key, { ...entry, count: entry.count - 1 });
    }
  }

  function succeeded(address: string, email: string): void {
    withdraw(address, email);
    attempts.delete(limitsOf(address, email)[0].key);
  }

  return { retryAfterSeconds, begin, withdraw, succeeded };
}
export type LoginThrottle = ReturnType<typeof createLoginThrottle>;
