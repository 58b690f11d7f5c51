import { JOURNAL_BATCH_MAX, type JournalRecord, type RecordBody } from "@tradingbots/crds";

/** Droppable records kept while the journal is away; with one equity and a few events a minute, some hours. */
const DROPPABLE_MAX = 2_000;

/** Orders, fills, trades and baselines are never dropped. There are few: without a journal nothing is opened. */
function isDroppable(body: RecordBody): boolean {
  return body.type === "equity" || body.type === "event";
}

/**
 * What the journal has not confirmed yet, in order. A record gets its sequence when it is first sent and keeps it, so that a
 * batch that arrived without our knowing is not stored twice.
 */
export class RecordBuffer {
  readonly #waiting: RecordBody[] = [];
  #sending: readonly JournalRecord[] = [];
  #dropped = 0;

  add(body: RecordBody): void {
    if (body.type === "report") this.#remove((waiting) => waiting.type === "report");
    this.#waiting.push(body);
    if (isDroppable(body) && this.#waiting.filter(isDroppable).length > DROPPABLE_MAX) {
      this.#remove(isDroppable);
      this.#dropped += 1;
    }
  }

  /** The batch under way, or the next one numbered from `sequence`. Empty when all is confirmed. */
  batch(sequence: number): readonly JournalRecord[] {
    if (this.#sending.length === 0) {
      const bodies = this.#waiting.splice(0, JOURNAL_BATCH_MAX);
      this.#sending = bodies.map((body, index) => ({ sequence: sequence + index, body }));
    }
    return this.#sending;
  }

  /** The batch under way has arrived. */
  confirm(): void {
    this.#sending = [];
  }

  get size(): number {
    return this.#waiting.length + this.#sending.length;
  }

  get dropped(): number {
    return this.#dropped;
  }

  /** Removes the oldest match. */
  #remove(matches: (body: RecordBody) => boolean): void {
    const index = this.#waiting.findIndex(matches);
    if (index >= 0) this.#waiting.splice(index, 1);
  }
}
