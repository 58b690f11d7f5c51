import { setFlagsFromString } from "node:v8";
import type { Clock } from "../../src/clock.ts";

/** What runs at a moment of virtual time. */
interface Due {
  atMs: number;
  /** Whether it waited for its process to wake, behind what goes first there. */
  isBehind: boolean;
  /** Equal moments come in the order in which they were asked for. */
  readonly sequence: number;
  readonly owner: VirtualProcess | undefined;
  /** It comes from outside of its process; else it is a timer. */
  readonly isMessage: boolean;
  readonly run: () => void;
  cancelled: boolean;
}

/** A run that does not end by itself is a fault of the simulation: some timer renews itself without time passing. */
const EVENTS_MAX = 2_000_000;

/**
 * Runs every promise reaction that is due, down to the last, before it returns: so between two moments of virtual time nothing
 * is left over, and the same seed gives the same order of everything. V8's own intrinsic; a turn of Node's event loop instead
 * would cost eighty times as much.
 */
const drainMicrotasks = intrinsic("%PerformMicrotaskCheckpoint()");

function intrinsic(source: string): () => void {
  setFlagsFromString("--allow-natives-syntax");
  // oxlint-disable-next-line no-implied-eval -- the only way to name an intrinsic in a module
  const compiled: unknown = new Function(source);
  setFlagsFromString("--no-allow-natives-syntax");
  if (!isCallable(compiled)) throw new Error("V8 compiled no function");
  return compiled;
}

function isCallable(value: unknown): value is () => void {
  return typeof value === "function";
}

/** Virtual time: nothing happens but what is due, one after the other, and time jumps from one to the next. */
export class Timeline {
  #nowMs: number;
  #sequence = 0;
  #ran = 0;
  #running: VirtualProcess | undefined;
  readonly #heap: Due[] = [];

  constructor(startMs: number) {
    this.#nowMs = startMs;
  }

  /** True time, ms since 1970: the exchange's and the journal's. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** The process whose code runs at this moment; undefined for the world's own. */
  get running(): VirtualProcess | undefined {
    return this.#running;
  }

  /** Calls `run` in `ms`; gives back how to call it off. What a process owns waits while it is frozen and dies with it. */
  after(ms: number, run: () => void, owner?: VirtualProcess): () => void {
    return this.#schedule(ms, { owner, run, isMessage: false });
  }

  /** A message reaches a process in `ms`; messages that waited for a frozen one come in their order. */
  arrive(ms: number, run: () => void, owner: VirtualProcess): void {
    this.#schedule(ms, { owner, run, isMessage: true });
  }

  #schedule(ms: number, what: Pick<Due, "owner" | "run" | "isMessage">): () => void {
    // Whole ms, as wall clocks of exchanges are.
    const atMs = this.#nowMs + Math.max(0, Math.ceil(ms));
    const due: Due = { ...what, atMs, isBehind: false, sequence: this.#sequence, cancelled: false };
    this.#sequence += 1;
    this.#push(due);
    return () => (due.cancelled = true);
  }

  /** Runs code of a process now, as its operating system would. */
  enter(process: VirtualProcess, run: () => void): void {
    const before = this.#running;
    this.#running = process;
    run();
    drainMicrotasks();
    this.#running = before;
  }

  /** Lets everything happen up to a moment; stops early once `stop` says so. */
  runUntil(untilMs: number, stop: () => boolean): void {
    for (let due = this.#heap[0]; due !== undefined && due.atMs <= untilMs; due = this.#heap[0]) {
      this.#pop();
      this.#happen(due);
      if (stop()) return;
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  #happen(due: Due): void {
    if (due.cancelled || due.owner?.alive === false) return;
    this.#nowMs = Math.max(this.#nowMs, due.atMs);
    if (due.owner !== undefined && due.owner.frozenUntilMs > this.#nowMs) {
      due.atMs = due.owner.frozenUntilMs;
      due.isBehind = due.isMessage !== due.owner.readsFirst;
      this.#push(due);
      return;
    }
    this.#ran += 1;
    if (this.#ran > EVENTS_MAX) throw new Error(`more than ${EVENTS_MAX} events in one run`);
    this.#running = due.owner;
    due.run();
    drainMicrotasks();
    this.#running = undefined;
  }

  #push(due: Due): void {
    const heap = this.#heap;
    let index = heap.push(due) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(due, above)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = due;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      const left = heap[2 * index + 1];
      const right = heap[2 * index + 2];
      if (left === undefined) break;
      const isRight = right !== undefined && isBefore(right, left);
      const child = isRight ? right : left;
      if (!isBefore(child, last)) break;
      heap[index] = child;
      index = 2 * index + (isRight ? 2 : 1);
    }
    heap[index] = last;
  }
}

function isBefore(left: Due, right: Due): boolean {
  if (left.atMs !== right.atMs) return left.atMs < right.atMs;
  return left.isBehind === right.isBehind ? left.sequence < right.sequence : right.isBehind;
}

/** One process on one node: its own wall clock, and it can be frozen or die at any moment between two events. */
export class VirtualProcess {
  readonly name: string;
  readonly #timeline: Timeline;
  #alive = true;
  #frozenFromMs = 0;
  #frozenUntilMs = 0;
  #readsFirst = false;
  /** The node's wall clock less true time, ms. */
  skewMs: number;

  constructor(name: string, timeline: Timeline, skewMs: number) {
    this.name = name;
    this.#timeline = timeline;
    this.skewMs = skewMs;
  }

  get alive(): boolean {
    return this.#alive;
  }

  get frozenUntilMs(): number {
    return this.#frozenUntilMs;
  }

  get frozen(): boolean {
    return this.#frozenUntilMs > this.#timeline.nowMs;
  }

  /** Nothing of it takes effect any more; what it has sent may still arrive. */
  kill(): void {
    this.#alive = false;
  }

  /**
   * As SIGSTOP, a paused machine or a long collection: its clocks go on, it does not. As it wakes, an event loop that was waiting
   * for messages reads them before it runs timers that are due; one that was stopped elsewhere may run these first.
   */
  freeze(ms: number, readsFirst: boolean): void {
    const { nowMs } = this.#timeline;
    if (!this.frozen) this.#frozenFromMs = nowMs;
    this.#frozenUntilMs = Math.max(this.#frozenUntilMs, nowMs + ms);
    this.#readsFirst = readsFirst;
  }

  /** Messages that waited come before timers that are due as it wakes. */
  get readsFirst(): boolean {
    return this.#readsFirst;
  }

  /** Of the latest freeze, ms; 0 before the first. */
  get frozenForMs(): number {
    return this.#frozenUntilMs - this.#frozenFromMs;
  }

  get clock(): Clock {
    return {
      nowMs: () => this.#timeline.nowMs + this.skewMs,
      monotonicMs: () => withFraction(this.#timeline.nowMs),
      sleep: (ms, signal) => this.#sleep(ms, signal),
      after: (ms, run) => this.#timeline.after(ms, run, this),
      every: (ms, run) => this.every(ms, run),
    };
  }

  every(ms: number, run: () => void): () => void {
    let stopped = false;
    const next = (): void => {
      if (stopped) return;
      run();
      this.#timeline.after(ms, next, this);
    };
    this.#timeline.after(ms, next, this);
    return () => (stopped = true);
  }

  #sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true) {
        resolve();
        return;
      }
      const cancel = this.#timeline.after(ms, resolve, this);
      signal?.addEventListener("abort", () => {
        cancel();
        resolve();
      });
    });
  }
}

/** A monotonic clock counts fractions of ms, and no two looks at it are whole ms apart. */
function withFraction(nowMs: number): number {
  return nowMs + ((nowMs * 0.618) % 1);
}
