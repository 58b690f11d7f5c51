import type { Clock } from "../clock.ts";

interface Rate {
  readonly windowMs: number;
  /** Of all requests that leave within any `windowMs`. */
  readonly weightMax: number;
}

interface Passed {
  readonly atMs: number;
  readonly weight: number;
}

/** A rolling window over requests that leave, on the clock that never steps. Its queue holds what its callers wait for, no more. */
export class RequestWindow {
  readonly #rate: Rate;
  readonly #clock: Pick<Clock, "monotonicMs" | "sleep">;
  /** Within the window, oldest first. */
  #passed: Passed[] = [];
  #last: Promise<void> = Promise.resolve();

  constructor(rate: Rate, clock: Pick<Clock, "monotonicMs" | "sleep">) {
    this.#rate = rate;
    this.#clock = clock;
  }

  /** Resolves when a request of this weight may leave; they leave in the order in which they came. */
  pass(weight: number): Promise<void> {
    this.#last = this.#last.then(() => this.#admit(weight));
    return this.#last;
  }

  async #admit(weight: number): Promise<void> {
    const { windowMs, weightMax } = this.#rate;
    for (;;) {
      const atMs = this.#clock.monotonicMs();
      this.#passed = this.#passed.filter((passed) => passed.atMs + windowMs > atMs);
      const [oldest] = this.#passed;
      const spent = this.#passed.reduce((sum, passed) => sum + passed.weight, 0);
      // One that is heavier than the window leaves alone.
      if (oldest === undefined || spent + weight <= weightMax) {
        this.#passed.push({ atMs, weight });
        return;
      }
      await this.#clock.sleep(oldest.atMs + windowMs - atMs);
    }
  }
}
