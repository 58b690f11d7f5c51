import { setTimeout as sleep } from "node:timers/promises";
import type { Revocations } from "../auth/revocations.ts";
import { asTenant, type Database } from "../database.ts";
import type { Listeners } from "./listeners.ts";
import { eventsAfter, type Places } from "./live-store.ts";

/** Users that one question asks for, and events that one user is given at a time: whoever resumes holds up nobody for long. */
const USERS_AT_ONCE = 500;
const EVENTS_AT_ONCE = 100;
const RETRY_AFTER_MS = 1_000;

export interface ReaderDeps {
  readonly pool: Pick<Database, "connect">;
  readonly revocations: Pick<Revocations, "isFresh">;
  readonly listeners: Pick<Listeners, "placesOf" | "give">;
  readonly onError: (error: unknown) => void;
}

/** Reads what users have yet to be told, many users in one question, one question at a time. */
export function createLiveReader({ pool, revocations, listeners, onError }: ReaderDeps) {
  /** Users of whom there may be news. */
  const waiting = new Set<string>();
  let isReading = false;

  /** Reads for those who wait. While nobody knows which log-ins have ended, nobody is told anything: a later call tries again. */
  async function read(): Promise<void> {
    if (isReading) return;
    isReading = true;
    while (waiting.size > 0 && revocations.isFresh()) {
      const userIds = [...waiting].slice(0, USERS_AT_ONCE);
      for (const userId of userIds) waiting.delete(userId);
      const again = await tell(listeners.placesOf(userIds)).catch(async (error: unknown) => {
        onError(error);
        await sleep(RETRY_AFTER_MS);
        return userIds;
      });
      for (const userId of again) waiting.add(userId);
    }
    isReading = false;
  }

  /** Gives everybody who is listed what comes next, and answers those of whom there may be more. */
  async function tell(places: Places): Promise<readonly string[]> {
    const userIds = [...places.keys()];
    if (userIds.length === 0) return [];
    const events = await asTenant(pool, { userIds }, (database) =>
      eventsAfter(database, places, EVENTS_AT_ONCE),
    );
    for (const [userId, ofUser] of events) listeners.give(userId, ofUser);
    return userIds.filter((userId) => events.get(userId)?.length === EVENTS_AT_ONCE);
  }

  return {
    readFor: (userIds: Iterable<string>): void => {
      for (const userId of userIds) waiting.add(userId);
      void read();
    },
  };
}
