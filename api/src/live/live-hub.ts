import { askTogether } from "../ask-together.ts";
import type { Revocations } from "../auth/revocations.ts";
import { asTenant, type connectionOptions, type Database } from "../database.ts";
import { createListeningConnection } from "../journal/listening-connection.ts";
import { LIVE_CHANNEL } from "./channel.ts";
import { createListeners, type Place, type Transport } from "./listeners.ts";
import { createLiveReader } from "./live-reader.ts";
import { readHeads } from "./live-store.ts";

/** Heads in one statement: when a process dies, thousands come to another at once. */
const HEADS_AT_ONCE = 500;
/** An ended log-in is known after half a second, and ends its listeners within one. */
const TICK_MS = 250;
const HEARTBEAT_EVERY_MS = 25_000; // below the 30 to 60 s after which proxies give idle connections up
/** A process that died between a commit and its NOTIFY has announced nothing: so often everybody is looked at. */
const SWEEP_EVERY_MS = 30_000;

export interface HubDeps {
  readonly pool: Pick<Database, "connect">;
  readonly direct: ReturnType<typeof connectionOptions>;
  readonly revocations: Pick<Revocations, "isFresh" | "hasEnded" | "unbrokenSinceMs">;
  /** Milliseconds on a clock that never jumps; the revocations have the same. */
  readonly clock: () => number;
  readonly onError: (error: unknown) => void;
}

/** Gives each listener its own user's events. All of a process share one listening connection and one reader. */
export function createLiveHub({ pool, direct, revocations, clock, onError }: HubDeps) {
  const listeners = createListeners(clock);
  const reader = createLiveReader({ pool, revocations, listeners, onError });
  let isClosed = false;
  let sweptAtMs = clock();

  const connection = createListeningConnection({
    direct,
    channel: LIVE_CHANNEL,
    onPayload: (payload) => reader.readFor(payload.split(",").filter(listeners.has)),
    onProven: () => {},
    // What happens until the next connection listens is announced to nobody.
    onLost: (error) => {
      if (!isClosed) onError(error);
      sweptAtMs = -Infinity;
    },
  });
  const headOf = askTogether((userIds: readonly string[]) => {
    const each = [...new Set(userIds)];
    return asTenant(pool, { userIds: each }, async (database) => {
      const heads = await readHeads(database, each);
      return userIds.map((userId) => heads.get(userId) ?? 0);
    });
  }, HEADS_AT_ONCE);
  const timer = setInterval(tick, TICK_MS);

  function tick(): void {
    const nowMs = clock();
    listeners.endOverdue(revocations);
    listeners.beat(TICK_MS / HEARTBEAT_EVERY_MS);
    const isSweepDue = nowMs - sweptAtMs >= SWEEP_EVERY_MS && connection.isListening();
    if (isSweepDue) sweptAtMs = nowMs;
    reader.readFor(isSweepDue ? listeners.userIds() : []);
  }

  return {
    /** Of the last event that a user was told: what a new listener has that asks for nothing older. */
    headOf,
    /** @throws ApiError `too_many_listeners` */
    join: (place: Place, begin: (leave: () => void) => Transport): Transport => {
      const transport = listeners.add(place, begin);
      reader.readFor([place.caller.userId]);
      return transport;
    },
    count: listeners.count,
    close: async (): Promise<void> => {
      isClosed = true;
      clearInterval(timer);
      listeners.endAll("going_away");
      await connection.close();
    },
  };
}
export type LiveHub = ReturnType<typeof createLiveHub>;
