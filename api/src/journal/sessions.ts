import {
  type Intent,
  REQUESTS_REMEMBERED,
  type RequestResult,
  type SessionAnswer,
  type Trade,
} from "@tradingbots/crds";
import { atMostOne, type Database, type Queryable } from "../database.ts";
import { ApiError } from "../errors.ts";
import { endPaperTrades } from "./paper-trades.ts";
import { asSpeaker, isOnPaper, type Speaker } from "./speaker.ts";
import type { TokenHolder } from "./tokens.ts";

/** Bounds of the answer in crds. */
const OPEN_MAX = 64;
/**
 * Sessions of a bot that are kept, besides the one with the lease. A container that crashes at once starts again every five
 * minutes: for three days facts of any of them are still taken.
 */
const SESSIONS_MAX = 1_000;
/** Tokens carry whole seconds, by the clocks of as many API servers as the cluster has. */
const SAME_TIME_SECONDS = 5;
/** Removed with one new session: more were left by a version that kept them all, and go little by little. */
const REMOVED_MAX = 100;

/**
 * Grants a new epoch and tells what is not over. Asking again grants another: a process that starts in the same pod must
 * not share sequences with the one before, whose last batch may still be on its way.
 * No transaction waits for `podExists`: its lock would hold up the bot's orders, and the database would end it.
 * @throws ApiError `stale_epoch` when a newer pod has had a session: one that was replaced must not take over again;
 * `changed_meanwhile` when another pod got one while the API server was asked
 */
export async function openSession(
  pool: Pick<Database, "connect">,
  holder: TokenHolder,
  podExists: () => Promise<boolean>,
): Promise<SessionAnswer> {
  const open = (outlived: number) =>
    asSpeaker(pool, holder, async (database, speaker) => {
      if (!isOnPaper(holder)) await endPaperTrades(database, speaker);
      return openAfter(database, speaker, outlived);
    });
  const first = await open(0);
  if ("session" in first) return first.session;
  if (!(await podExists())) throw replaced(first.rival);
  const second = await open(first.rival);
  if ("session" in second) return second.session;
  const message = `another pod has opened epoch ${second.rival}: try again`;
  throw new ApiError("changed_meanwhile", message);
}

/** The session, or the epoch of another pod of which only the API server can say whether it is newer. */
type Opening = { readonly session: SessionAnswer } | { readonly rival: number };

/** `outlived`: of the other pods' epochs up to this one the API server has said that they are older; 0 when it was not asked. */
async function openAfter(
  database: Queryable,
  speaker: Speaker,
  outlived: number,
): Promise<Opening> {
  await lockBot(database, speaker);
  const rival = await rivalOf(database, speaker);
  if (rival?.isNewer === true) throw replaced(rival.epoch);
  if (rival !== undefined && rival.epoch > outlived) return { rival: rival.epoch };
  const epoch = await grantEpoch(database, speaker);
  await removeOldSessions(database, speaker, epoch);
  await supersedeLease(database, speaker);
  const session = {
    epoch,
    lastSequence: 0,
    openTrades: await openTrades(database, speaker),
    openIntents: await openIntents(database, speaker),
    dayBaseline: await dayBaseline(database, speaker),
    realised: await realised(database, speaker),
    errors: await lastErrors(database, speaker),
    requests: await requestResults(database, speaker),
  };
  return { session };
}

/**
 * Waits for the bot's intents under way and keeps new ones out until the transaction ends (`append_intent` takes the same
 * lock, shared): once a process has its epoch, no older one's intent is accepted, and what is over stays over.
 */
export async function lockBot(database: Queryable, { botId }: Speaker): Promise<void> {
  await database.query("select pg_advisory_xact_lock(hashtextextended($1, 1))", [botId]);
}

interface Rival {
  readonly epoch: number;
  /** Of a newer pod for certain. */
  readonly isNewer: boolean;
}

/**
 * The session of another pod that may be newer. A pod gets no token after its deletion, and the next of its name is made after
 * that: tokens tell which is newer. Those of nearly the same time do not: then the API server is asked, which knows only one pod
 * of a name. But it remembers for some seconds what it said, so a pod that was asked about may be gone: one whose own last
 * session came before the other's is the older for certain, because the other was found alive, or had a newer token, after it.
 */
async function rivalOf(
  database: Queryable,
  { userId, botId, podUid, tokenIssuedAt }: Speaker,
): Promise<Rival | undefined> {
  const { rows } = await database.query<Rival>(
    `select epoch,
            token_issued > $4::timestamptz + make_interval(secs => $5)
              or epoch > coalesce((select max(own.epoch) from journal_sessions own
                                    where own.user_id = $1 and own.bot_id = $2 and own.pod_uid = $3),
                                  epoch) as "isNewer"
       from journal_sessions
      where user_id = $1 and bot_id = $2 and pod_uid <> $3
        and token_issued >= $4::timestamptz - make_interval(secs => $5)
      order by 2 desc, epoch desc limit 1`,
    [userId, botId, podUid, tokenIssuedAt, SAME_TIME_SECONDS],
  );
  return atMostOne(rows);
}

function replaced(epoch: number): ApiError {
  return new ApiError("stale_epoch", `this pod was replaced: epoch ${epoch} is a newer pod's`);
}

async function grantEpoch(
  database: Queryable,
  { userId, botId, podUid, tokenIssuedAt }: Speaker,
): Promise<number> {
  const { rows } = await database.query<{ epoch: number }>(
    `insert into journal_sessions (user_id, bot_id, pod_uid, token_issued, epoch)
     select $1, $2, $3, $4, coalesce(max(epoch), 0) + 1 from journal_sessions
      where user_id = $1 and bot_id = $2
     returning epoch`,
    [userId, botId, podUid, tokenIssuedAt],
  );
  const row = atMostOne(rows);
  if (row === undefined) throw new Error("an insert returned no row");
  return row.epoch;
}

async function removeOldSessions(
  database: Queryable,
  { userId, botId }: Speaker,
  newest: number,
): Promise<void> {
  await database.query(
    `delete from journal_sessions
      where user_id = $1 and bot_id = $2 and epoch = any(array(
        select epoch from journal_sessions
         where user_id = $1 and bot_id = $2 and epoch <= $3
           and epoch <> coalesce(
             (select epoch from journal_leases where user_id = $1 and bot_id = $2), 0)
         order by epoch limit $4))`,
    [userId, botId, newest - SESSIONS_MAX, REMOVED_MAX],
  );
}

/** Whoever holds the lease keeps it to its end and renews it no more. */
async function supersedeLease(database: Queryable, { userId, botId }: Speaker): Promise<void> {
  await database.query(
    "update journal_leases set is_superseded = true where user_id = $1 and bot_id = $2",
    [userId, botId],
  );
}

/** The epoch was granted to another pod, or to none. */
export function unknownSession(epoch: number): ApiError {
  const message = `epoch ${epoch} is not this pod's, or not its last: POST /v1/session first`;
  return new ApiError("unknown_session", message);
}

/** What the database says of a process; asked under the bot's lock. */
export interface Standing {
  /** The epoch was granted to this pod. */
  readonly isKnown: boolean;
  readonly newest: number;
  readonly newestIsOwn: boolean;
  /** It holds an unexpired lease, by the database's clock. */
  readonly isLeased: boolean;
}

/** @throws ApiError as `assertNewest` */
export async function requireNewestSession(
  database: Queryable,
  { userId, botId, podUid }: Speaker,
  epoch: number,
): Promise<void> {
  const { rows } = await database.query<Standing>(
    `select is_known as "isKnown", newest, newest_is_own as "newestIsOwn", is_leased as "isLeased"
       from bot_standing($1, $2, $3, $4)`,
    [userId, botId, podUid, epoch],
  );
  assertNewest(atMostOne(rows), epoch);
}

/**
 * A newer epoch of the same pod was granted to a request for a session that its process gave up waiting for: nobody has it, and
 * a pod has one living process. So the asker opens another session. A newer epoch of another pod is the end.
 * @throws ApiError `unknown_session`; `stale_epoch` when another pod has taken over
 */
export function assertNewest(
  standing: Standing | undefined,
  epoch: number,
): asserts standing is Standing {
  if (standing?.isKnown !== true) throw unknownSession(epoch);
  if (standing.newest === epoch) return;
  if (standing.newestIsOwn) throw unknownSession(epoch);
  throw new ApiError("stale_epoch", `epoch ${standing.newest} has taken over from epoch ${epoch}`);
}

interface TradeRow extends Omit<Trade, "openedAt" | "closedAt"> {
  readonly openedAt: Date;
  readonly closedAt: Date | null;
}

async function openTrades(database: Queryable, { userId, botId }: Speaker): Promise<Trade[]> {
  const { rows } = await database.query<TradeRow>(
    `select id, symbol, side, quantity, entry_price as "entryPrice", exit_price as "exitPrice", pnl,
            fees, funding, opened_at as "openedAt", closed_at as "closedAt", reason
       from trades where user_id = $1 and bot_id = $2 and closed_at is null
      order by opened_at desc limit ${OPEN_MAX}`,
    [userId, botId],
  );
  return rows.map((row) => ({
    ...row,
    openedAt: row.openedAt.toISOString(),
    closedAt: row.closedAt?.toISOString() ?? null,
  }));
}

interface IntentRow extends Omit<Intent, "confidence" | "candleOpenTime" | "at"> {
  readonly confidence: string;
  readonly candleOpenTime: Date;
  readonly at: Date;
}

async function openIntents(database: Queryable, { userId, botId }: Speaker): Promise<Intent[]> {
  const { rows } = await database.query<IntentRow>(
    `select client_order_id as "clientOrderId", attempt, symbol, side, quantity, leverage,
            stop_loss as "stopLoss", take_profit as "takeProfit",
            candle_open_time as "candleOpenTime", confidence, at
       from intents where user_id = $1 and bot_id = $2 and is_open
      order by at desc limit ${OPEN_MAX}`,
    [userId, botId],
  );
  return rows.map((row) => ({
    ...row,
    confidence: Number(row.confidence),
    candleOpenTime: row.candleOpenTime.toISOString(),
    at: row.at.toISOString(),
  }));
}

async function dayBaseline(database: Queryable, { userId, botId }: Speaker) {
  const { rows } = await database.query<NonNullable<SessionAnswer["dayBaseline"]>>(
    `select to_char(day, 'YYYY-MM-DD') as day, equity, starts_from as "startsFrom"
       from day_baselines
      where user_id = $1 and bot_id = $2 order by day desc limit 1`,
    [userId, botId],
  );
  return atMostOne(rows) ?? null;
}

/** Sum of the results of all of the bot's closed trades. */
async function realised(database: Queryable, { userId, botId }: Speaker): Promise<string> {
  const { rows } = await database.query<{ sum: string }>(
    `select coalesce(sum(pnl), 0) as sum from trades
      where user_id = $1 and bot_id = $2 and closed_at is not null`,
    [userId, botId],
  );
  return rows[0]?.sum ?? "0";
}

/** What the latest report told of errors in a row. */
async function lastErrors(
  database: Queryable,
  { userId, botId }: Speaker,
): Promise<SessionAnswer["errors"]> {
  const { rows } = await database.query<{ generation: number; count: number }>(
    `select (report ->> 'generation')::int as generation,
            coalesce((report ->> 'consecutiveErrors')::int, 0) as count
       from reports where user_id = $1 and bot_id = $2`,
    [userId, botId],
  );
  return atMostOne(rows) ?? null;
}

interface ResultRow extends Omit<RequestResult, "at"> {
  readonly at: Date;
}

/** Requests that have begun, whose end nobody has told, and the newest results: as many as a session is told, oldest first. */
async function requestResults(
  database: Queryable,
  { userId, botId }: Speaker,
): Promise<RequestResult[]> {
  const { rows } = await database.query<ResultRow>(
    `select id, action, symbol, side, status, reason, message, "orderId", at
       from (select *, order_id as "orderId" from request_results where user_id = $1 and bot_id = $2
              order by status = 'begun' desc, heard_at desc, id desc limit ${REQUESTS_REMEMBERED}) told
      order by heard_at, id`,
    [userId, botId],
  );
  return rows.map((row) => ({ ...row, at: row.at.toISOString() }));
}
