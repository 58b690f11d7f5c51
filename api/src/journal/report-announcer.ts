import type { Queryable } from "../database.ts";
import { recentReporters } from "./reports.ts";

export const CHANNEL = "reports";
/** Insert and NOTIFY together halve the throughput, so many changes share one. */
const FLUSH_AFTER_MS = 25;
const RETRY_AFTER_MS = 1_000;
/** Postgres takes less than 8,000 bytes. */
const PAYLOAD_BYTES_MAX = 7_500;
/** A crash between commit and NOTIFY loses at most one flush; a restarted pod is back well within this time. */
const REPEATED_AT_START_SECONDS = 300;

export interface AnnouncerOptions {
  readonly database: Queryable;
  readonly onError: (error: unknown) => void;
}

/** Tells every journal process which bots have a new report: ids only, gathered for a moment. */
export function createReportAnnouncer({ database, onError }: AnnouncerOptions) {
  let waiting = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  let flushing: Promise<void> = Promise.resolve();

  function announce(botId: string): void {
    waiting.add(botId);
    schedule(FLUSH_AFTER_MS);
  }

  function schedule(afterMs: number): void {
    timer ??= setTimeout(() => {
      timer = undefined;
      flushing = flush();
    }, afterMs);
  }

  async function flush(): Promise<void> {
    const botIds = waiting;
    waiting = new Set();
    try {
      for (const payload of payloads(botIds)) {
        await database.query("select pg_notify($1, $2)", [CHANNEL, payload]);
      }
    } catch (error) {
      onError(error);
      for (const botId of botIds) waiting.add(botId);
      schedule(RETRY_AFTER_MS);
    }
  }

  return {
    announce,
    /** Makes good what a process that died did not announce. */
    repeatRecent: async () => {
      for (const botId of await recentReporters(database, REPEATED_AT_START_SECONDS)) {
        announce(botId);
      }
    },
    close: async () => {
      clearTimeout(timer);
      await flushing;
      if (waiting.size > 0) await flush();
      clearTimeout(timer);
    },
  };
}
export type ReportAnnouncer = ReturnType<typeof createReportAnnouncer>;

/** Ids joined by commas, in as few payloads as fit. */
export function payloads(botIds: Iterable<string>): readonly string[] {
  const found: string[] = [];
  let payload = "";
  for (const botId of botIds) {
    if (payload !== "" && payload.length + 1 + botId.length > PAYLOAD_BYTES_MAX) {
      found.push(payload);
      payload = "";
    }
    payload = payload === "" ? botId : `${payload},${botId}`;
  }
  return payload === "" ? found : [...found, payload];
}
