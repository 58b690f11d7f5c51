import type { Revocations } from "../auth/revocations.ts";
import type { Caller } from "../auth/user.ts";
import { ApiError } from "../errors.ts";
import type { LiveEvent, Places } from "./live-store.ts";
import { createRounds } from "./rounds.ts";

/** Tabs and devices of one user. */
const LISTENERS_PER_USER_MAX = 20;
/** About 8 KB each; beyond this another replica is the better place. */
const LISTENERS_MAX = 50_000;
/** After so long somebody has to show a token again: it may have run out meanwhile. */
const AGE_MAX_MS = 60 * 60_000;

/** Why a listener is ended, and what a client had better do. */
export type EndReason = "going_away" | "too_slow" | "session_ended" | "authenticate_again";

/** How a listener is told. */
export interface Transport {
  /** Gives it events, and says whether some before them are lost to it; false when it has too much that it did not take yet. */
  readonly take: (events: readonly LiveEvent[], hasMissed: boolean) => boolean;
  /** Asks whether it is there; false when it has not answered the question before. */
  readonly beat: () => boolean;
  readonly end: (reason: EndReason) => void;
}

/** Who listens, and from where on. */
export interface Place {
  readonly caller: Pick<Caller, "userId" | "sessionId">;
  /** Events up to this one it has. */
  readonly after: number;
}

interface Listener {
  readonly caller: Place["caller"];
  readonly transport: Transport;
  readonly joinedAtMs: number;
  after: number;
}

/** Who listens in this process, by user. `clock` is the one that the revocations have. */
export function createListeners(clock: () => number) {
  const byUser = new Map<string, Set<Listener>>();
  let count = 0;
  const inTurn = createRounds(all);

  /** `begin` is called when there is room, with what ends the listener. @throws ApiError `too_many_listeners` */
  function add({ caller, after }: Place, begin: (leave: () => void) => Transport): Transport {
    const { userId } = caller;
    const ofUser = byUser.get(userId) ?? new Set<Listener>();
    if (ofUser.size >= LISTENERS_PER_USER_MAX || count >= LISTENERS_MAX) {
      throw new ApiError("too_many_listeners", "close another one, or try again later", {
        retryAfterSeconds: 10,
      });
    }
    const transport = begin(() => {
      if (!ofUser.delete(listener)) return;
      count -= 1;
      if (ofUser.size === 0 && byUser.get(userId) === ofUser) byUser.delete(userId);
    });
    const listener: Listener = { caller, transport, joinedAtMs: clock(), after };
    byUser.set(userId, ofUser.add(listener));
    count += 1;
    return transport;
  }

  function* all(): Generator<Listener, void> {
    for (const ofUser of byUser.values()) yield* ofUser;
  }

  /** Where each of these users' slowest listener is; users without any are left out. */
  function placesOf(userIds: readonly string[]): Places {
    const places = new Map<string, number>();
    for (const userId of userIds) {
      const ofUser = byUser.get(userId);
      if (ofUser === undefined) continue;
      places.set(userId, Math.min(...Array.from(ofUser, ({ after }) => after)));
    }
    return places;
  }

  /** Events of one user, to each listener what it does not have yet; whoever is too slow is ended. */
  function give(userId: string, events: readonly LiveEvent[]): void {
    for (const listener of byUser.get(userId) ?? []) {
      const news = events.filter(({ id }) => id > listener.after);
      const [first] = news;
      if (first === undefined) continue;
      const hasMissed = first.id > listener.after + 1;
      listener.after = news.at(-1)?.id ?? first.id;
      if (!listener.transport.take(news, hasMissed)) listener.transport.end("too_slow");
    }
  }

  function endOverdue(revocations: Pick<Revocations, "hasEnded" | "unbrokenSinceMs">): void {
    const joinedBeforeMs = Math.max(clock() - AGE_MAX_MS, revocations.unbrokenSinceMs());
    for (const { caller, transport, joinedAtMs } of all()) {
      if (revocations.hasEnded(caller.sessionId)) transport.end("session_ended");
      else if (joinedAtMs < joinedBeforeMs) transport.end("authenticate_again");
    }
  }

  /** Asks such a share of all, one after the other: to ask twenty thousand at once would hold everybody up for half a second. */
  function beat(share: number): void {
    for (const { transport } of inTurn(count * share)) {
      if (!transport.beat()) transport.end("too_slow");
    }
  }

  return {
    add,
    has: (userId: string) => byUser.has(userId),
    userIds: () => byUser.keys(),
    count: () => count,
    placesOf,
    give,
    endOverdue,
    beat,
    endAll: (reason: EndReason) => {
      for (const { transport } of all()) transport.end(reason);
    },
  };
}
export type Listeners = ReturnType<typeof createListeners>;
