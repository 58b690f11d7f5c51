import { type BackOff, backOffMs } from "./back-off.ts";
import { createKeyAlarms } from "./key-alarms.ts";
import { timeSlices } from "./time-slices.ts";
import { createWaitingLine, PRIORITIES, type Priority } from "./waiting-line.ts";

export interface QueueOptions {
  readonly concurrency: number;
  readonly backOff: BackOff;
  /** One pass over one key. A throw counts as a failure and is tried again after the back-off, at the same priority. */
  readonly process: (key: string) => Promise<{ readonly requeueAfterMs?: number | undefined }>;
  readonly onError: (key: string, error: unknown, failures: number) => void;
  /** Whose key it is: groups take turns, so that none can starve another. Asked when the key is added. */
  readonly groupOf?: (key: string) => string;
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

/**
 * Runs `process` for keys: each key waits at most once, at the highest priority it was added with, and never runs twice
 * at the same time. Nothing runs before `start`; keys added earlier wait, so that a standby is warm. Its size is bounded by the
 * number of objects there are.
 */
export function createWorkQueue(options: QueueOptions) {
  const waiting = createWaitingLine(options.groupOf ?? (() => ""));
  const running = createRunningKeys();
  const alarms = createKeyAlarms<Priority>(add);
  const pass = createPass(options, addAfter);
  let state: "warm" | "started" | "stopped" = "warm";

  function add(key: string, priority: Priority): void {
    if (state === "stopped" || running.addAgain(key, priority)) return;
    waiting.add(key, priority);
    pump();
  }

  /** Adds the key later; of several such calls the earliest counts. */
  function addAfter(key: string, delayMs: number, priority: Priority = "resync"): void {
    if (state !== "stopped") alarms.set(key, delayMs, priority);
  }

  const pump = pausing(() => {
    if (state !== "started" || running.size() >= options.concurrency) return false;
    const next = waiting.take();
    if (next === undefined) return false;
    running.begin(next.key);
    options.hooks?.onStart?.(next.priority, performance.now() - next.since);
    void run(next.key, next.priority);
    return true;
  });

  async function run(key: string, priority: Priority): Promise<void> {
    await pass.run(key, priority);
    const again = running.end(key);
    if (state === "started" && again !== undefined) waiting.add(key, again.priority, again.since);
    pump();
  }

  /** Ends at once what waits; resolves when what runs has ended. */
  async function stop(): Promise<void> {
    state = "stopped";
    alarms.clear();
    waiting.clear();
    await running.drained();
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
    /** Keys that wait for a free worker or for their own pass to end; those that wait for a time are not counted. */
    depth: () => waiting.size() + running.againSize(),
    running: running.size,
    /** Keys whose last pass failed: they are tried again when their back-off is over, or sooner when something is heard of them. */
    failing: pass.failing,
    isIdle: () => waiting.size() === 0 && running.size() === 0,
  };
}
export type WorkQueue = ReturnType<typeof createWorkQueue>;

/** Keys under way, and those of them that were added meanwhile: these wait from then on. */
function createRunningKeys() {
  const running = new Set<string>();
  const again = new Map<string, { readonly priority: Priority; readonly since: number }>();
  const waitForEnd: (() => void)[] = [];

  /** False when the key is not under way. */
  function addAgain(key: string, priority: Priority): boolean {
    if (!running.has(key)) return false;
    const known = again.get(key);
    if (known === undefined) again.set(key, { priority, since: performance.now() });
    else again.set(key, { ...known, priority: higher(known.priority, priority) });
    return true;
  }

  function end(key: string) {
    running.delete(key);
    const next = again.get(key);
    again.delete(key);
    if (running.size === 0) for (const ended of waitForEnd.splice(0)) ended();
    return next;
  }

  async function drained(): Promise<void> {
    if (running.size > 0) await new Promise<void>((resolve) => waitForEnd.push(resolve));
  }

  return {
    addAgain,
    begin: (key: string) => void running.add(key),
    end,
    drained,
    size: () => running.size,
    againSize: () => again.size,
  };
}

/** One run of `process` over a key; what comes of it, a failure too, is a time at which to look again. */
function createPass(
  options: QueueOptions,
  lookAgain: (key: string, delayMs: number, priority: Priority) => void,
) {
  const random = options.random ?? Math.random;
  const failures = new Map<string, number>();

  function retry(key: string, priority: Priority, error: unknown): void {
    const count = (failures.get(key) ?? 0) + 1;
    failures.set(key, count);
    options.onError(key, error, count);
    const askedMs = options.retryAfterMs?.(error) ?? 0;
    lookAgain(key, Math.max(askedMs, backOffMs(count, options.backOff, random)), priority);
  }

  async function run(key: string, priority: Priority): Promise<void> {
    const startedAt = performance.now();
    let failed = false;
    try {
      const { requeueAfterMs } = await options.process(key);
      failures.delete(key);
      if (requeueAfterMs !== undefined) {
        lookAgain(key, Math.max(requeueAfterMs, REQUEUE_MIN_MS), "resync");
      }
    } catch (error) {
      failed = true;
      retry(key, priority, error);
    }
    options.hooks?.onDone?.(performance.now() - startedAt, failed);
  }

  return { run, failing: () => failures.size };
}

/**
 * Repeats `step` until it answers false, with breaks. Passes that find nothing to do never wait for anything: a hundred thousand of
 * them would be one long turn of the event loop.
 */
function pausing(step: () => boolean): () => void {
  let isPaused = false;

  function pump(): void {
    if (isPaused) return;
    while (!timeSlices.isOver()) if (!step()) return;
    void pause();
  }

  async function pause(): Promise<void> {
    isPaused = true;
    await timeSlices.next();
    isPaused = false;
    pump();
  }

  return pump;
}

function higher(a: Priority, b: Priority): Priority {
  return PRIORITIES.indexOf(a) < PRIORITIES.indexOf(b) ? a : b;
}
