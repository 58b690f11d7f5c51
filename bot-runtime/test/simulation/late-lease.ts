import type { Served } from "./network.ts";

export interface LateLeaseWish {
  /** Of the requests for a lease, the one whose answer is late. */
  readonly occurrence: number;
  readonly answerMs: number;
  /** For so long after it every further one is lost. */
  readonly lostMs: number;
}

/** One answer about a lease that is long on its way, and the silence after it. */
export class LateLease {
  readonly #wish: LateLeaseWish;
  #asked = 0;
  #lostUntilMs = 0;

  constructor(wish: LateLeaseWish) {
    this.#wish = wish;
  }

  /** What becomes of a request for a lease at this moment. */
  serve(nowMs: number, answer: () => Served): Served {
    if (this.#lostUntilMs > nowMs) return { kind: "silence" };
    this.#asked += 1;
    const { occurrence, answerMs, lostMs } = this.#wish;
    const answered = answer();
    if (this.#asked !== occurrence) return answered;
    this.#lostUntilMs = nowMs + lostMs;
    return { kind: "later", ms: answerMs, next: () => answered };
  }
}
