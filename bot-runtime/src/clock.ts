/**
 * All time that a bot knows. Everything below `main.ts` takes it from here, so that the very same code also runs on a virtual
 * clock, where a second takes no time and a run can be repeated to the last event.
 */
export interface Clock {
  /** Wall clock, ms since 1970; it may step. */
  readonly nowMs: () => number;
  /** Never steps, ms since an arbitrary start: ages and durations. */
  readonly monotonicMs: () => number;
  /** Resolves after `ms`, or at once when `signal` aborts; never rejects. Does not keep the process alive. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** Calls `run` in `ms`, unless the returned function is called before. Does not keep the process alive. */
  readonly after: (ms: number, run: () => void) => () => void;
  /** Calls `run` every `ms` until the returned function is called. */
  readonly every: (ms: number, run: () => void) => () => void;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  // Not by `node:timers/promises`, which makes an error with its stack for every pause that is cut short.
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", end);
        resolve();
      };
      const timer = setTimeout(end, ms).unref();
      signal?.addEventListener("abort", end);
      if (signal?.aborted === true) end();
    }),
  after: (ms, run) => {
    const timer = setTimeout(run, ms).unref();
    return () => clearTimeout(timer);
  },
  every: (ms, run) => {
    const timer = setInterval(run, ms);
    return () => clearInterval(timer);
  },
};
