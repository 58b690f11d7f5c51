import type { connectionOptions, Queryable } from "../database.ts";
import { ApiError } from "../errors.ts";
import { createListeningConnection } from "./listening-connection.ts";
import { closeSubscriber, createSubscriber, reportLines, type Subscriber } from "./report-lines.ts";

/** Where journal processes tell one another which bots have a new report. */
export const REPORTS_CHANNEL = "reports";
/** One operator with a standby; the rest is room for people who look. */
const SUBSCRIBERS_MAX = 16;

export interface HubOptions {
  readonly database: Queryable;
  readonly direct: ReturnType<typeof connectionOptions>;
  readonly onError: (error: unknown) => void;
}

/** Streams the latest report of every bot, and every later one, to those who subscribe. */
export function createReportHub({ database, direct, onError }: HubOptions) {
  const subscribers = new Set<Subscriber>();
  let isClosing = false;
  const connection = createListeningConnection({
    direct,
    channel: REPORTS_CHANNEL,
    onPayload: (payload) =>
      tell((subscriber) => {
        for (const botId of payload.split(",")) subscriber.changed.add(botId);
      }),
    // A heartbeat says "you have missed nothing": only a connection that answers can promise that.
    onProven: () =>
      tell((subscriber) => {
        subscriber.heartbeat = true;
      }),
    // A new subscription begins with everything, so nothing that happens meanwhile is lost.
    onLost: (error) => {
      if (!isClosing) onError(error);
      for (const subscriber of subscribers) closeSubscriber(subscriber);
    },
  });

  function tell(note: (subscriber: Subscriber) => void): void {
    for (const subscriber of subscribers) {
      note(subscriber);
      subscriber.wake();
    }
  }

  /** Lines of JSON until `signal` or the end of the listening connection. @throws ApiError `journal_saturated` */
  function subscribe(signal: AbortSignal): AsyncGenerator<string, void, undefined> {
    const isListening = connection.isListening();
    if (!isListening || subscribers.size >= SUBSCRIBERS_MAX) {
      const detail = isListening ? "too many subscribers" : "the journal is not listening yet";
      throw new ApiError("journal_saturated", detail, { retryAfterSeconds: 1 });
    }
    const subscriber = createSubscriber();
    subscribers.add(subscriber); // before the first row is read, so that nothing falls in between
    signal.addEventListener("abort", () => closeSubscriber(subscriber), { once: true });
    return subscription(subscriber);
  }

  async function* subscription(subscriber: Subscriber): AsyncGenerator<string, void, undefined> {
    try {
      yield* reportLines(database, subscriber);
    } finally {
      subscribers.delete(subscriber);
    }
  }

  return {
    subscribe,
    isListening: connection.isListening,
    close: async () => {
      isClosing = true;
      await connection.close();
    },
  };
}
export type ReportHub = ReturnType<typeof createReportHub>;
