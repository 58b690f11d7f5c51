import { setTimeout as sleep } from "node:timers/promises";

interface Repeated {
  readonly everyMs: number;
  /** Told of the end: what takes long looks at it between two pieces. */
  readonly work: (ending: AbortSignal) => Promise<unknown>;
  readonly onError: (error: unknown) => void;
}

/** Does some work again and again, never twice at once, until it is stopped; stopping waits for what is under way. */
export function repeat({ everyMs, work, onError }: Repeated): {
  readonly stop: () => Promise<void>;
} {
  const ending = new AbortController();
  const running = run();

  async function run(): Promise<void> {
    while (!ending.signal.aborted) {
      await work(ending.signal).catch(onError);
      await sleep(everyMs, undefined, { signal: ending.signal }).catch(() => {});
    }
  }

  return {
    stop: async () => {
      ending.abort();
      await running;
    },
  };
}
