import { type BackOff, backOffMs } from "./back-off.ts";

/** What is done first: what a person waits for, then ends, then what pods tell, then looking again. */
export const PRIORITIES = ["user", "deletion", "pod", "resync"] as const;
export type Priority = (typeof PRIORITIES)[number];

export interface QueueOptions {
  readonly name: string;
  readonly concurrency: number;
  readonly backOff: BackOff;
  /** One pass over one key. A throw counts as a failure and is tried again after the back-off. */
  readonly process: (key: string) => Promise<{ readonly requeueAfterMs?: number | undefined }>;
  readonly onError: (key: string, error: unknown, failures: number) => void;
  /** How long the other side asked to be left alone, in milliseconds; the back-off is at least that. */
  readonly retryAfterMs?: (error: unknown) => number;
  readonly hooks?: QueueHooks;
  readonly random?: () => number;
}

export interface QueueHooks {
  readonly onStart?: (priority: Priority, waitedMs: number) => void;
  readonly onDone?: (durationMs: number, failed: boolean) => void;
}

/** A pass that is asked for "now" again and again would spin: this is the shortest way back. */
const REQUEUE_MIN_MS = 1;
/** setTimeout's own limit is 24.8 days; a day is soon enough to look again. */
const DELAY_MAX_MS = 86_400_000;

/**
 * Runs `process` for keys: each key waits at most once, at the highest priority it was added with, and never runs twice
 * at the same time. Nothing runs before `start`; keys added earlier wait, so that a standby is warm. Its size is bounded by the
 * number of objects there are.
 */
export function createWorkQueue(options: QueueOptions) {
  const random = options.random ?? Math.random;
  const waiting = createWaitingLine();
  const running = new Set<string>();
  const failures = new Map<string, number>();
  const timers = createKeyTimers((key, priority) => add(key, priority));
  const drained = Promise.withResolvers<void>();
  let state: "warm" | "started" | "stopped" = "warm";

  function add(key: string, priority: Priority): void {
    if (state === "stopped") return;
    waiting.add(key, priority);
    pump();
  }

  /** Adds the key later; of several such calls the earliest counts. */
  function addAfter(key: string, delayMs: number, priority: Priority = "resync"): void {
    if (state !== "stopped") timers.set(key, { delayMs, priority });
  }

  function pump(): void {
    if (state !== "started") return;
    while (running.size < options.concurrency) {
      const next = waiting.take((key) => !running.has(key));
      if (next === undefined) return;
      running.add(next.key);
      options.hooks?.onStart?.(next.priority, performance.now() - next.since);
      void run(next.key);
    }
  }

  async function run(key: string): Promise<void> {
    const startedAt = performance.now();
    let failed = false;
    try {
      const { requeueAfterMs } = await options.process(key);
      failures.delete(key);
      if (requeueAfterMs !== undefined) addAfter(key, Math.max(requeueAfterMs, REQUEUE_MIN_MS));
    } catch (error) {
      failed = true;
      const count = (failures.get(key) ?? 0) + 1;
      failures.set(key, count);
      options.onError(key, error, count);
      const askedMs = options.retryAfterMs?.(error) ?? 0;
      addAfter(key, Math.max(askedMs, backOffMs(count, options.backOff, random)));
    } finally {
      running.delete(key);
      options.hooks?.onDone?.(performance.now() - startedAt, failed);
      if (state === "stopped" && running.size === 0) drained.resolve();
      pump();
    }
  }

  /** Ends at once what waits; resolves when what runs has ended. */
  async function stop(): Promise<void> {
    state = "stopped";
    timers.clear();
    waiting.clear();
    if (running.size === 0) drained.resolve();
    await drained.promise;
  }

  function start(): void {
    if (state !== "warm") return;
    state = "started";
    pump();
  }

  return {
    add,
    addAfter,
    start,
    stop,
    /** Keys that wait for a free worker; those that wait for a time are not counted. */
    depth: () => waiting.size(),
    isIdle: () => waiting.size() === 0 && running.size === 0,
  };
}
export type WorkQueue = ReturnType<typeof createWorkQueue>;

/** First in, first out within each priority. */
function createWaitingLine() {
  const lines = PRIORITIES.map((priority) => ({ priority, since: new Map<string, number>() }));

  function add(key: string, priority: Priority): void {
    const rank = PRIORITIES.indexOf(priority);
    let since = performance.now();
    for (const [at, line] of lines.entries()) {
      const waitsSince = line.since.get(key);
      if (waitsSince === undefined) continue;
      if (at <= rank) return;
      line.since.delete(key);
      since = waitsSince;
    }
    lines[rank]?.since.set(key, since);
  }

  function take(mayRun: (key: string) => boolean) {
    for (const { priority, since } of lines) {
      for (const [key, waitsSince] of since) {
        if (!mayRun(key)) continue;
        since.delete(key);
        return { key, priority, since: waitsSince };
      }
    }
    return undefined;
  }

  return {
    add,
    take,
    size: () => lines.reduce((sum, line) => sum + line.since.size, 0),
    clear: () => {
      for (const line of lines) line.since.clear();
    },
  };
}

/** One timer a key. */
function createKeyTimers(fire: (key: string, priority: Priority) => void) {
  const timers = new Map<string, { readonly dueAt: number; readonly timer: NodeJS.Timeout }>();

  function set(key: string, { delayMs, priority }: { delayMs: number; priority: Priority }): void {
    const delay = Math.min(delayMs, DELAY_MAX_MS);
    const dueAt = performance.now() + delay;
    const known = timers.get(key);
    if (known !== undefined && known.dueAt <= dueAt) return;
    clearTimeout(known?.timer);
    const timer = setTimeout(() => {
      timers.delete(key);
      fire(key, priority);
    }, delay);
    timers.set(key, { dueAt, timer });
  }

  function clear(): void {
    for (const { timer } of timers.values()) clearTimeout(timer);
    timers.clear();
  }

  return { set, clear };
}
