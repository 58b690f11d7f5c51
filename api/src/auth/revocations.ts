import type { Queryable } from "../database.ts";
import { ACCESS_TOKEN_SECONDS } from "./tokens.ts";
import type { Tier } from "./user.ts";

/** Two cheap queries: a revocation is known everywhere within a second. */
const POLL_MS = 500;
/** Whoever has not heard for so long lets nobody in: the database is down or frozen, and a session may have ended. */
const STALE_MS = 2_000;
/**
 * Every poll asks for all that may matter to a living token, not for what is new: a change is stamped before it is committed,
 * and a commit can hang. A minute more covers clocks.
 */
const LOOK_BACK_SECONDS = ACCESS_TOKEN_SECONDS + 60;
/** After so long without an answer something may have ended that the next one leaves out. The minute is for clocks and commits. */
const GAP_MAX_MS = ACCESS_TOKEN_SECONDS * 1_000;

export interface RevocationDeps {
  /** Of the auth role; connections of its own, so that it waits behind nobody. */
  readonly database: Queryable;
  /** Milliseconds on a clock that never jumps. */
  readonly clock: () => number;
  readonly onError: (error: unknown) => void;
}

/**
 * What changed about people while their tokens live: sessions and API tokens that ended, and tiers that are others. Asked of the
 * database again and again, not pushed: a lost notification would let somebody in for a quarter of an hour.
 */
export function createRevocations({ database, clock, onError }: RevocationDeps) {
  let ended: ReadonlySet<string> = new Set();
  let tiers: ReadonlyMap<string, Tier> = new Map();
  let heardAt: number | undefined;
  let unbrokenSince = Infinity;
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;

  async function poll(): Promise<void> {
    const askedAt = clock();
    const [sessions, users] = await Promise.all([
      database.query<{ id: string }>(
        `select id from sessions where ended_at > now() - make_interval(secs => $1)
         union all
         select id from api_tokens where ended_at > now() - make_interval(secs => $1)
         union all
         select t.id from api_tokens t join users u on u.id = t.user_id
          where u.disabled_at > now() - make_interval(secs => $1)`,
        [LOOK_BACK_SECONDS],
      ),
      database.query<{ id: string; tier: Tier }>(
        "select id, tier from users where tier_changed_at > now() - make_interval(secs => $1)",
        [LOOK_BACK_SECONDS],
      ),
    ]);
    ended = new Set(sessions.rows.map(({ id }) => id));
    tiers = new Map(users.rows.map(({ id, tier }) => [id, tier]));
    if (heardAt === undefined || clock() - heardAt > GAP_MAX_MS) unbrokenSince = askedAt;
    heardAt = askedAt;
  }

  async function follow(): Promise<void> {
    await poll().catch(onError);
    if (!isStopped) timer = setTimeout(() => void follow(), POLL_MS);
  }

  return {
    /** Resolves after the first attempt. */
    start: follow,
    stop: () => {
      isStopped = true;
      clearTimeout(timer);
    },
    /** False when what follows may be out of date. */
    isFresh: () => heardAt !== undefined && clock() - heardAt <= STALE_MS,
    /** Whoever was let in before this moment of the clock may have been logged out since, and nobody here heard of it. */
    unbrokenSinceMs: () => unbrokenSince,
    /** Of a session or an API token. */
    hasEnded: (id: string): boolean => ended.has(id),
    /** The user's tier when it changed lately. */
    tierOf: (userId: string): Tier | undefined => tiers.get(userId),
  };
}
export type Revocations = ReturnType<typeof createRevocations>;
