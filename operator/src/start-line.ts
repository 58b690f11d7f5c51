import type { Clock } from "./reports.ts";

export interface StartLineOptions {
  /** Logins that Vault may be asked for in a second: each pod with a key makes one. */
  readonly perSecond: number;
  readonly clock: Clock;
}

/** In this order: what may hold a position, for nobody watches over it; what a user waits for; what only comes back. */
const START_RANKS = ["position", "user", "rest"] as const;
export type StartRank = (typeof START_RANKS)[number];

export interface StartWish {
  readonly id: string;
  readonly rank: StartRank;
  /** Called when it may ask again with success, or when what it was told no longer holds. */
  readonly wake: () => void;
}

/** Whether a pod may be made now. `ahead`: about how many come first; undefined when that is not worth telling. */
export type StartAnswer =
  | { readonly mayStart: true }
  | { readonly mayStart: false; readonly ahead: number | undefined };

interface Waiting {
  /** Of its rank. */
  readonly place: number;
  readonly wake: () => void;
  told: number | undefined;
}

/** A shorter wait is over before anybody has read of it, and saying so would cost a write a bot. */
const TELL_FROM_SECONDS = 5;
/** A place is told again when it has become a tenth of what was told: five writes at most for a hundred thousand bots. */
const TELL_AGAIN_AT = 0.1;
/**
 * Whoever has waited longest is passed over so often at most: else a stream of positions, or of users, would keep the others for ever. So
 * with n that asked before it, a start comes among the next 4 (n + 1).
 */
const PASSED_OVER_MAX = 3;
const TICK_MS = 100;
const RETELL_TICKS = 50;
/** Whoever was called and does not come has changed its mind. */
const CALLED_FOR_MS = 30_000;

/**
 * Lets pods that log in at Vault start no faster than Vault bears: a bucket of one second's starts, and a line. After a restart of
 * the operator everybody lines up anew: what is lost with the process is an order, not a start.
 */
export function createStartLine({ perSecond, clock }: StartLineOptions) {
  const line = createRankedLine();
  const called = new Map<string, number>();
  const bucket = createBucket(perSecond, clock);
  const tellFrom = TELL_FROM_SECONDS * perSecond;
  let timer: NodeJS.Timeout | undefined;
  let ticks = 0;

  function ask({ id, rank, wake }: StartWish): StartAnswer {
    if (called.delete(id)) return { mayStart: true };
    const place = START_RANKS.indexOf(rank);
    const known = line.find(id);
    if (known === undefined && line.size() === 0 && bucket.take()) return { mayStart: true };
    timer ??= setInterval(tick, TICK_MS);
    if (known !== undefined && known.place <= place) return { mayStart: false, ahead: known.told };
    const ahead = line.ahead(id, place);
    const told = ahead >= tellFrom ? ahead : undefined;
    line.join(id, { place, wake, told });
    return { mayStart: false, ahead: told };
  }

  function tick(): void {
    while (line.size() > 0 && bucket.take()) callNext();
    for (const [id, since] of called) if (clock() - since > CALLED_FOR_MS) called.delete(id);
    if (++ticks % RETELL_TICKS === 0) tellAgain();
    if (line.size() === 0 && called.size === 0) pause();
  }

  function callNext(): void {
    const id = line.next();
    const waiting = line.find(id);
    line.leave(id);
    called.set(id, clock());
    waiting?.wake();
  }

  function tellAgain(): void {
    let ahead = 0;
    for (const each of line.inOrder()) {
      const isFarAhead = each.told !== undefined && ahead <= each.told * TELL_AGAIN_AT;
      if (isFarAhead && ahead >= tellFrom) {
        each.told = ahead;
        each.wake();
      }
      ahead++;
    }
  }

  function pause(): void {
    clearInterval(timer);
    timer = undefined;
  }

  return {
    ask,
    /** It wants to start no more. */
    leave: (id: string) => {
      line.leave(id);
      called.delete(id);
    },
    size: line.size,
    stop: pause,
  };
}
export type StartLine = ReturnType<typeof createStartLine>;

/** Who waits: a line for each rank, and who has waited longest of all. */
function createRankedLine() {
  const lines = START_RANKS.map(() => new Map<string, Waiting>());
  /** In the order in which they first asked: who gets a better rank keeps its age. */
  const places = new Map<string, number>();
  let passedOver = 0;

  const lineOf = (id: string) => lines[places.get(id) ?? -1];

  return {
    size: () => places.size,
    find: (id: string): Waiting | undefined => lineOf(id)?.get(id),
    /** How many of others are in the lines up to and with that place. */
    ahead: (id: string, place: number): number =>
      lines
        .slice(0, place + 1)
        .reduce((sum, waiting) => sum + waiting.size - Number(waiting.has(id)), 0),
    join: (id: string, waiting: Waiting): void => {
      lineOf(id)?.delete(id);
      lines[waiting.place]?.set(id, waiting);
      places.set(id, waiting.place);
    },
    leave: (id: string): void => {
      lineOf(id)?.delete(id);
      places.delete(id);
    },
    /** Whose turn it is, where anybody waits. */
    next: (): string => {
      const [oldest = ""] = places.keys();
      const [first = oldest] = lines.find(({ size }) => size > 0)?.keys() ?? [];
      const id = passedOver < PASSED_OVER_MAX ? first : oldest;
      passedOver = id === oldest ? 0 : passedOver + 1;
      return id;
    },
    inOrder: () => lines.values().flatMap((waiting) => waiting.values()),
  };
}

/** Fills with `perSecond` tokens a second and holds as many. */
function createBucket(perSecond: number, clock: Clock) {
  let tokens = perSecond;
  let filledAt = clock();
  return {
    take: (): boolean => {
      const now = clock();
      tokens = Math.min(perSecond, tokens + ((now - filledAt) / 1_000) * perSecond);
      filledAt = now;
      if (tokens < 1) return false;
      tokens -= 1;
      return true;
    },
  };
}
