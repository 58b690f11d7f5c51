import { openSync, readSync } from "node:fs";

/** Of the calling thread, in ns: time on a core, time ready to run without getting one; and time slices. */
const SCHEDSTAT = "/proc/thread-self/schedstat";
const LINE_MAX_BYTES = 64;

/**
 * A stopwatch for synchronous work of this thread, that can leave out work which is not to be measured, and the time for which
 * others had the core.
 */
export class OwnTime {
  readonly #file = openSync(SCHEDSTAT, "r");
  readonly #line = Buffer.alloc(LINE_MAX_BYTES);
  #startedMs = 0;
  #delayedMs = 0;
  #asideMs = 0;

  start(): void {
    this.#asideMs = 0;
    this.#delayedMs = this.#delayMs();
    this.#startedMs = performance.now();
  }

  /** Since the start, without what was done aside: on the core, and by the wall's clock. */
  read(): { readonly workMs: number; readonly wallMs: number } {
    const wallMs = performance.now() - this.#startedMs - this.#asideMs;
    return { workMs: wallMs - (this.#delayMs() - this.#delayedMs), wallMs };
  }

  /** Does something that is not measured. */
  aside<Result>(work: () => Result): Result {
    const startedMs = performance.now();
    const delayedMs = this.#delayMs();
    const result = work();
    // What others took of it is in the whole delay, and must not be left out twice.
    const othersMs = this.#delayMs() - delayedMs;
    this.#asideMs += performance.now() - startedMs - othersMs;
    return result;
  }

  #delayMs(): number {
    const size = readSync(this.#file, this.#line, 0, LINE_MAX_BYTES, 0);
    return Number(this.#line.toString("latin1", 0, size).split(" ")[1]) / 1_000_000;
  }
}
