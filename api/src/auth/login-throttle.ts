/** Failed logins that an address may have with one account, and with all accounts together, in a window. */
const FAILURES_PER_ACCOUNT_MAX = 10;
const FAILURES_PER_ADDRESS_MAX = 100;
const WINDOW_MS = 15 * 60_000;
const KEYS_MAX = 100_000;

interface Failures {
  count: number;
  readonly endsAtMs: number;
}

/** Remembers failed logins for a while, in this process. */
export function createLoginThrottle(now: () => number) {
  const failures = new Map<string, Failures>();

  function current(key: string): Failures | undefined {
    const entry = failures.get(key);
    if (entry !== undefined && entry.endsAtMs <= now()) {
      failures.delete(key);
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

  function failed(address: string, email: string): void {
    for (const key of [accountKey(address, email), address]) {
      const entry = current(key);
      if (entry !== undefined) entry.count++;
      else failures.set(key, { count: 1, endsAtMs: now() + WINDOW_MS });
      const oldest = failures.size > KEYS_MAX ? failures.keys().next().value : undefined;
      if (oldest !== undefined) failures.delete(oldest);
    }
  }

  function succeeded(address: string, email: string): void {
    failures.delete(accountKey(address, email));
  }

  return { retryAfterSeconds, failed, succeeded };
}
export type LoginThrottle = ReturnType<typeof createLoginThrottle>;

function accountKey(address: string, email: string): string {
  return `${address} ${email}`;
}
