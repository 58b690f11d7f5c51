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
  readonly wake: () => void;
  told: number | undefined;
}

/** A shorter wait is over before anybody has read of it, and saying so would cost a write a bot. */
const TELL_FROM_SECONDS = 5;
/** A place is told again when it has become a tenth of what was told: five writes at most for a hundred thousand bots. */
const TELL_AGAIN_AT = 0.1;
const TICK_MS = 100;
const RETELL_TICKS = 50;
/** Whoever was called and does not come has changed its mind. */
const CALLED_FOR_MS = 30_000;

/**
 * Lets pods that log in at Vault start no faster than Vault bears: a bucket of one second's starts, and a line. After a restart of
 * the operator everybody lines up anew: what is lost with the process is an order, not a start.
 */
export function createStartLine({ perSecond, clock }: StartLineOptions) {
  const lines = START_RANKS.map((rank) => ({ rank, waiting: new Map<string, Waiting>() }));
  const called = new Map<string, number>();
  const bucket = createBucket(perSecond, clock);
  const tellFrom = TELL_FROM_SECONDS * perSecond;
  let timer: NodeJS.Timeout | undefined;
  let ticks = 0;

  const size = () => lines.reduce((sum, { waiting }) => sum + waiting.size, 0);

  function ask({ id, rank, wake }: StartWish): StartAnswer {
    if (called.delete(id)) return { mayStart: true };
    const place = START_RANKS.indexOf(rank);
    const at = lines.findIndex(({ waiting }) => waiting.has(id));
    if (at === -1 && size() === 0 && bucket.take()) return { mayStart: true };
    timer ??= setInterval(tick, TICK_MS);
    const known = lines[at]?.waiting.get(id);
    if (known !== undefined && at <= place) return { mayStart: false, ahead: known.told };
    lines[at]?.waiting.delete(id);
    const ahead = lines.slice(0, place + 1).reduce((sum, { waiting }) => sum + waiting.size, 0);
    const told = ahead >= tellFrom ? ahead : undefined;
    lines[place]?.waiting.set(id, { wake, told });
    return { mayStart: false, ahead: told };
  }

  function tick(): void {
    while (size() > 0 && bucket.take()) callNext();
    for (const [id, since] of called) if (clock() - since > CALLED_FOR_MS) called.delete(id);
    if (++ticks % RETELL_TICKS === 0) tellAgain();
    if (size() === 0 && called.size === 0) pause();
  }

  function callNext(): void {
    for (const { waiting } of lines) {
      for (const [id, { wake }] of waiting) {
        waiting.delete(id);
        called.set(id, clock());
        wake();
        return;
      }
    }
  }

  function tellAgain(): void {
    let ahead = 0;
    for (const { waiting } of lines) {
      for (const each of waiting.values()) {
        const isFarAhead = each.told !== undefined && ahead <= each.told * TELL_AGAIN_AT;
        if (isFarAhead && ahead >= tellFrom) {
          each.told = ahead;
          each.wake();
        }
        ahead++;
      }
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
      for (const { waiting } of lines) waiting.delete(id);
      called.delete(id);
    },
    size,
    stop: pause,
  };
}
export type StartLine = ReturnType<typeof createStartLine>;

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
