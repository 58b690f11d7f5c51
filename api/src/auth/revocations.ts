import type { Queryable } from "../database.ts";
import { ACCESS_TOKEN_SECONDS } from "./tokens.ts";
import type { Tier } from "./user.ts";

/** Two cheap queries: a revocation is known everywhere within a second. */
const POLL_MS = 500;
/** A change is stamped before it is committed, and no transaction of ours lives longer than half of this. */
const OVERLAP_MS = 20_000;
/** Whoever has not heard for so long lets nobody in: the database is down or frozen, and a session may have ended. */
const STALE_MS = 5_000;
const TOKEN_MS = ACCESS_TOKEN_SECONDS * 1_000;

export interface RevocationDeps {
  /** Of the auth role. */
  readonly database: Queryable;
  /** Milliseconds on a clock that never jumps. */
  readonly clock: () => number;
  readonly onError: (error: unknown) => void;
}

/**
 * What changed about people while their access tokens live: sessions that ended and tiers that are others. Asked of the
 * database again and again, not pushed: a lost notification would let somebody in for a quarter of an hour.
 */
export function createRevocations({ database, clock, onError }: RevocationDeps) {
  const ended = new Map<string, number>();
  const tiers = new Map<string, { readonly tier: Tier; readonly untilMs: number }>();
  let heardAt: number | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;

  async function poll(): Promise<void> {
    const askedAt = clock();
    const sinceMs = Math.min(askedAt - (heardAt ?? -Infinity), TOKEN_MS) + OVERLAP_MS;
    const [sessions, users] = await Promise.all([
      database.query<{ id: string }>(
        "select id from sessions where ended_at > now() - make_interval(secs => $1)",
        [sinceMs / 1_000],
      ),
      database.query<{ id: string; tier: Tier }>(
        "select id, tier from users where tier_changed_at > now() - make_interval(secs => $1)",
        [sinceMs / 1_000],
      ),
    ]);
    const untilMs = askedAt + TOKEN_MS + OVERLAP_MS;
    for (const { id } of sessions.rows) ended.set(id, untilMs);
    for (const { id, tier } of users.rows) tiers.set(id, { tier, untilMs });
    heardAt = askedAt;
    forget(askedAt);
  }

  /** Those whose tokens have all expired. */
  function forget(nowMs: number): void {
    for (const [id, untilMs] of ended) if (untilMs < nowMs) ended.delete(id);
    for (const [id, { untilMs }] of tiers) if (untilMs < nowMs) tiers.delete(id);
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
    hasEnded: (sessionId: string): boolean => ended.has(sessionId),
    /** The user's tier when it changed lately. */
    tierOf: (userId: string): Tier | undefined => tiers.get(userId)?.tier,
  };
}
export type Revocations = ReturnType<typeof createRevocations>;
