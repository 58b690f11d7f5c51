import type { Queryable } from "../database.ts";
import { type BotReport, reportsAfter, reportsOf } from "./reports.ts";

const PAGE = 500;

/** One reader of the report stream and what it has yet to be told. */
export interface Subscriber {
  /** Bots whose latest report has yet to be sent. A set: a slow reader gets the newest, not all. */
  readonly changed: Set<string>;
  heartbeat: boolean;
  closed: boolean;
  wake: () => void;
}

/** A reader that has been told nothing yet. */
export function createSubscriber(): Subscriber {
  return { changed: new Set(), heartbeat: false, closed: false, wake: () => {} };
}

/** Ends a reader's lines after what is under way. */
export function closeSubscriber(subscriber: Subscriber): void {
  subscriber.closed = true;
  subscriber.wake();
}

/** Every bot's latest report, `synced`, and then what changes, until the subscriber is closed. */
export async function* reportLines(
  database: Queryable,
  subscriber: Subscriber,
): AsyncGenerator<string, void, undefined> {
  yield* snapshot(database);
  yield `{"synced":true}\n`;
  while (!subscriber.closed) {
    yield* news(database, subscriber);
    await nextWake(subscriber);
  }
}

async function* snapshot(database: Queryable): AsyncGenerator<string, void, undefined> {
  let after = "";
  for (;;) {
    const { reports, last } = await reportsAfter(database, after, PAGE);
    if (last === undefined) return;
    yield text(reports);
    after = last;
  }
}

async function* news(
  database: Queryable,
  subscriber: Subscriber,
): AsyncGenerator<string, void, undefined> {
  while (subscriber.changed.size > 0) {
    const botIds = [...subscriber.changed].slice(0, PAGE);
    for (const botId of botIds) subscriber.changed.delete(botId);
    yield text(await reportsOf(database, botIds));
  }
  if (!subscriber.heartbeat) return;
  subscriber.heartbeat = false;
  yield `{"heartbeat":true}\n`;
}

function text(reports: readonly BotReport[]): string {
  return reports.map((report) => `${JSON.stringify(report)}\n`).join("");
}

function nextWake(subscriber: Subscriber): Promise<void> {
  if (subscriber.closed || subscriber.heartbeat || subscriber.changed.size > 0) {
    return Promise.resolve();
  }
  return new Promise((resolve) => {
    subscriber.wake = resolve;
  });
}
