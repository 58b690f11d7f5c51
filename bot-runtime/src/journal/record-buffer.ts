import { JOURNAL_BATCH_MAX, type JournalRecord, type RecordBody } from "@tradingbots/crds";

/** Droppable records kept while the journal is away; with one equity and a few events a minute, some hours. */
const DROPPABLE_MAX = 2_000;

/** Words about exits kept while the journal is away: eight hours of an exit that is refused every 15 s. */
const EXIT_ORDERS_MAX = 2_000;
/**
 * At this size the buffer is said to be full. Nothing of the rest is dropped nevertheless: fills, trades, baselines and entries
 * are facts about money, and few, because without a journal nothing is opened.
 */
const FULL_AT = 5_000;

function isDroppable(body: RecordBody): boolean {
  return body.type === "equity" || body.type === "event";
}

/** What became of an exit follows from its fills; an entry's last word closes its intent. */
function isExitOrder(body: RecordBody): boolean {
  return body.type === "order" && body.purpose === "exit";
}

/** What a newer record says again, word for word or better. */
function isRepeatedBy(newer: RecordBody): (body: RecordBody) => boolean {
  return (body) => {
    if (newer.type === "report") return body.type === "report";
    if (newer.type !== "order" || body.type !== "order") return false;
    return body.clientOrderId === newer.clientOrderId && body.status === newer.status;
  };
}

/**
 * What the journal has not confirmed yet, in order. A record gets its sequence when it is first sent and keeps it, so that a
 * batch that arrived without our knowing is not stored twice.
 */
export class RecordBuffer {
  readonly #waiting: RecordBody[] = [];
  #sending: readonly JournalRecord[] = [];
  #batchMax = JOURNAL_BATCH_MAX;
  #dropped = 0;

  add(body: RecordBody): void {
    this.#remove(isRepeatedBy(body));
    this.#waiting.push(body);
    if (isDroppable(body)) this.#limit(isDroppable, DROPPABLE_MAX);
    if (isExitOrder(body)) this.#limit(isExitOrder, EXIT_ORDERS_MAX);
  }

  /** The batch under way, or the next one numbered from `sequence`. Empty when all is confirmed. */
  batch(sequence: number): readonly JournalRecord[] {
    if (this.#sending.length === 0) {
      const bodies = this.#waiting.splice(0, this.#batchMax);
      this.#sending = bodies.map((body, index) => ({ sequence: sequence + index, body }));
    }
    return this.#sending;
  }

  /** The batch under way has arrived. */
  confirm(): void {
    this.#sending = [];
    this.#batchMax = Math.min(this.#batchMax * 2, JOURNAL_BATCH_MAX);
  }

  /** The batch under way waits again, in its place, for other numbers. */
  renumber(): void {
    this.#waiting.unshift(...this.#sending.map(({ body }) => body));
    this.#sending = [];
  }

  /**
   * The journal stores nothing of a batch in which one record is wrong: the next batch is half as long. A record that is
   * refused alone is left out and given back.
   */
  refuse(): JournalRecord | undefined {
    const [first, ...more] = this.#sending;
    if (more.length === 0) {
      this.#sending = [];
      return first;
    }
    this.#batchMax = Math.ceil(this.#sending.length / 2);
    this.renumber();
    return undefined;
  }

  get size(): number {
    return this.#waiting.length + this.#sending.length;
  }

  /** Records that gave way to newer ones at their kind's limit. */
  get dropped(): number {
    return this.#dropped;
  }

  get full(): boolean {
    return this.size >= FULL_AT;
  }

  /** Drops the oldest match when more than `most` wait. */
  #limit(matches: (body: RecordBody) => boolean, most: number): void {
    if (this.#waiting.filter(matches).length <= most) return;
    this.#remove(matches);
    this.#dropped += 1;
  }

  /** Removes the oldest match. */
  #remove(matches: (body: RecordBody) => boolean): void {
    const index = this.#waiting.findIndex(matches);
    if (index >= 0) this.#waiting.splice(index, 1);
  }
}
