const PAUSE_MIN_MS = 500;

export interface TurnsOptions {
  /** One turn. May be asked for again while it runs: then another one follows. */
  readonly turn: () => Promise<void>;
  /** Called after each turn, with what it threw, if it did. */
  readonly ended: (error: unknown) => void;
  /** The longest pause after failures, ms. */
  readonly longestPauseMs: () => number;
  readonly monotonicMs: () => number;
}

/** Runs turns one at a time: whatever wakes it only says that one is due. After failures it waits ever longer. */
export class Turns {
  readonly #options: TurnsOptions;
  #due = false;
  #running: Promise<void> | undefined;
  #begunMs: number | undefined;
  #failures = 0;
  #notBeforeMs = -Infinity;

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  get idle(): boolean {
    return this.#running === undefined;
  }

  /** Failures since the last turn that succeeded. */
  get failures(): number {
    return this.#failures;
  }

  /** How long the turn under way has taken so far, ms; 0 without one. */
  get ageMs(): number {
    return this.#begunMs === undefined ? 0 : this.#options.monotonicMs() - this.#begunMs;
  }

  wake(): void {
    this.#due = true;
    this.resume();
  }

  /** As `wake`, without waiting for the end of a pause. */
  wakeNow(): void {
    this.#notBeforeMs = -Infinity;
    this.wake();
  }

  /** Runs the turn that is due, if one is and its pause is over; called several times a second. */
  resume(): void {
    if (!this.#due || this.#options.monotonicMs() < this.#notBeforeMs) return;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      // Woken between the last turn and here.
      this.resume();
    });
  }

  /** Resolves when no turn is under way. */
  async settled(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    const { turn, ended, longestPauseMs, monotonicMs } = this.#options;
    while (this.#due && monotonicMs() >= this.#notBeforeMs) {
      this.#due = false;
      this.#begunMs = monotonicMs();
      try {
        await turn();
        this.#failures = 0;
        ended(undefined);
      } catch (error) {
        const pauseMs = Math.min(
          PAUSE_MIN_MS * 2 ** Math.min(this.#failures, 10),
          longestPauseMs(),
        );
        this.#failures += 1;
        this.#notBeforeMs = monotonicMs() + pauseMs;
        this.#due = true;
        ended(error);
      } finally {
        this.#begunMs = undefined;
      }
    }
  }
}
