import type { Queryable } from "../database.ts";
import { type AuditEntry, recordAll } from "./record.ts";
import { createRefusals } from "./refusals.ts";

/** Lines that wait while the database is away; what comes beyond is counted and told of. */
const WAITING_MAX = 5_000;
const BATCH = 500;
const MINUTE_MS = 60_000;

export interface AuditQueueDeps {
  readonly database: Queryable;
  readonly now: () => number;
}

/**
 * Lines that tell how something ended, written a moment later. Most refusals are summed up by minute: nobody fills the disk by
 * being refused.
 */
export function createAuditQueue({ database, now }: AuditQueueDeps) {
  let waiting: AuditEntry[] = [];
  let lost = 0;
  let refusals = createRefusals();
  let minute = minuteAt(now());

  function push(entry: AuditEntry): void {
    if (waiting.length < WAITING_MAX) waiting.push(entry);
    else lost++;
  }

  function refuse(entry: AuditEntry): void {
    if (refusals.add(entry)) push(entry);
  }

  function endMinute(): void {
    const of = new Date(minute).toISOString();
    for (const { entry, count } of refusals.sums()) {
      push({ ...entry, details: { count, minute: of } });
    }
    if (lost > 0) {
      const details = { count: lost };
      waiting.push({ actorKind: "system", action: "audit.lost", outcome: "failed", details });
    }
    refusals = createRefusals();
    lost = 0;
    minute = minuteAt(now());
  }

  /** Writes what waits. What cannot be written stays. */
  async function flush(): Promise<void> {
    if (minuteAt(now()) !== minute) endMinute();
    while (waiting.length > 0) {
      const batch = waiting.slice(0, BATCH);
      await recordAll(database, batch);
      waiting = waiting.slice(batch.length);
    }
  }

  return {
    /** How something that was `attempted` ended. */
    push,
    /** Somebody was refused something. */
    refuse,
    flush,
    /** Writes what is left, the sums of the running minute too. */
    end: async () => {
      endMinute();
      await flush();
    },
  };
}
export type AuditQueue = ReturnType<typeof createAuditQueue>;

function minuteAt(ms: number): number {
  return ms - (ms % MINUTE_MS);
}
