/** Logins that an address may try in vain with one account, and with all accounts together, in a window. */
const FAILURES_PER_ACCOUNT_MAX = 10;
const FAILURES_PER_ADDRESS_MAX = 100;
const WINDOW_MS = 15 * 60_000;
const KEYS_MAX = 100_000;

interface Attempts {
  count: number;
  readonly endsAtMs: number;
}

/**
 * Counts logins that have not succeeded, for a while, in this process. They count from their beginning: a hundred at once
 * must not all slip through before the first has failed.
 */
export function createLoginThrottle(now: () => number) {
  const attempts = new Map<string, Attempts>();

  function current(key: string): Attempts | undefined {
    const entry = attempts.get(key);
    if (entry !== undefined && entry.endsAtMs <= now()) {
      attempts.delete(key);
      return undefined;
    }
    return entry;
  }

  /** Seconds until this address may try this account again; undefined: now. */
  function retryAfterSeconds(address: string, email: string): number | undefined {
    const limits = [
      [accountKey(address, email), FAILURES_PER_ACCOUNT_MAX],
      [address, FAILURES_PER_ADDRESS_MAX],
    ] as const;
    const waits = limits.map(([key, max]) => {
      const entry = current(key);
      return entry !== undefined && entry.count >= max ? entry.endsAtMs - now() : 0;
    });
    const waitMs = Math.max(...waits);
    return waitMs > 0 ? Math.ceil(waitMs / 1_000) : undefined;
  }

  function begin(address: string, email: string): void {
    for (const key of [accountKey(address, email), address]) {
      const entry = current(key);
      if (entry !== undefined) entry.count++;
      else attempts.set(key, { count: 1, endsAtMs: now() + WINDOW_MS });
      const oldest = attempts.size > KEYS_MAX ? attempts.keys().next().value : undefined;
      if (oldest !== undefined) attempts.delete(oldest);
    }
  }

  /** The attempt was never judged: it does not count. */
  function withdraw(address: string, email: string): void {
    for (const key of [accountKey(address, email), address]) {
      const entry = current(key);
      if (entry !== undefined) entry.count--;
    }
  }

  function succeeded(address: string, email: string): void {
    withdraw(address, email);
    attempts.delete(accountKey(address, email));
  }

  return { retryAfterSeconds, begin, withdraw, succeeded };
}
export type LoginThrottle = ReturnType<typeof createLoginThrottle>;

function accountKey(address: string, email: string): string {
  return `${address} ${email}`;
}
