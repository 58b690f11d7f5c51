/** Clocks drift by some milliseconds in this time, and what steps them says nothing. */
const RELOAD_EVERY_MS = 600_000;
/** Without an answer the last known difference serves for this long. */
const RETRY_MS = 5_000;

interface TimedClient {
  /** Asks for the exchange's time and keeps what this machine's differs from it. */
  readonly loadTimeDifference: () => Promise<unknown>;
}

export interface ServerClock {
  /** Loads the difference when it is old or doubted. Fails only when it was never known. */
  readonly keep: () => Promise<void>;
  /** The exchange found a request's time wrong: this machine's clock was set, or its own. */
  readonly doubt: () => void;
}

/** Keeps all clients' signatures at the exchange's time. `monotonicMs` is a clock that nobody sets. */
export function createServerClock(
  clients: readonly TimedClient[],
  monotonicMs: () => number,
): ServerClock {
  let known = false;
  let dueMs = -Infinity;
  let loading: Promise<void> | undefined;

  const load = async () => {
    dueMs = monotonicMs() + RETRY_MS;
    try {
      await Promise.all(clients.map(async (client) => client.loadTimeDifference()));
    } catch (error) {
      if (!known) {
        dueMs = -Infinity;
        throw error;
      }
      return;
    }
    known = true;
    dueMs = monotonicMs() + RELOAD_EVERY_MS;
  };
  return {
    keep: async () => {
      if (monotonicMs() >= dueMs) loading ??= load().finally(() => (loading = undefined));
      // Of several symbols' turns one loads, the others wait for it.
      await loading;
    },
    doubt: () => (dueMs = -Infinity),
  };
}
