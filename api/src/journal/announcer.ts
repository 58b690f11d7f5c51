import type { Queryable } from "../database.ts";

/** Insert and NOTIFY together halve the throughput, so many changes share one. */
const FLUSH_AFTER_MS = 25;
const RETRY_AFTER_MS = 1_000;
/** Postgres takes less than 8,000 bytes. */
const PAYLOAD_BYTES_MAX = 7_500;
export interface AnnouncerOptions {
  readonly database: Queryable;
  readonly channel: string;
  readonly onError: (error: unknown) => void;
}

/** Tells whoever listens to a channel of Postgres' NOTIFY what has changed: ids only, gathered for a moment. */
export function createAnnouncer({ database, channel, onError }: AnnouncerOptions) {
  let waiting = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  let flushing: Promise<void> = Promise.resolve();

  function announce(id: string): void {
    waiting.add(id);
    schedule(FLUSH_AFTER_MS);
  }

  function schedule(afterMs: number): void {
    timer ??= setTimeout(() => {
      timer = undefined;
      flushing = flush();
    }, afterMs);
  }

  async function flush(): Promise<void> {
    const ids = waiting;
    waiting = new Set();
    try {
      for (const payload of payloads(ids)) {
        await database.query("select pg_notify($1, $2)", [channel, payload]);
      }
    } catch (error) {
      onError(error);
      for (const id of ids) waiting.add(id);
      schedule(RETRY_AFTER_MS);
    }
  }

  return {
    announce,
    close: async () => {
      clearTimeout(timer);
      await flushing;
      if (waiting.size > 0) await flush();
      clearTimeout(timer);
    },
  };
}
export type Announcer = ReturnType<typeof createAnnouncer>;

/** Ids joined by commas, in as few payloads as fit. */
export function payloads(ids: Iterable<string>): readonly string[] {
  const found: string[] = [];
  let payload = "";
  for (const id of ids) {
    if (payload !== "" && payload.length + 1 + id.length > PAYLOAD_BYTES_MAX) {
      found.push(payload);
      payload = "";
    }
    payload = payload === "" ? id : `${payload},${id}`;
  }
  return payload === "" ? found : [...found, payload];
}
