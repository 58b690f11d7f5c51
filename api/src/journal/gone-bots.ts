import { asTenant, type Database } from "../database.ts";

/** A pod of a bot whose custom resource is gone says nothing any more; a month is for whoever looks into what happened. */
const GONE_FOR = "30 days";
/** Of one turn, and of one user in it: what is left comes in the next. */
const USERS_MAX = 100;
const SESSIONS_MAX = 1_000;

/**
 * Removes the sessions of bots that are gone for good, and with them their leases, but for the newest: a bot that comes back under the
 * same id (the old robot's, brought over again) goes on counting, or its facts would be taken for old ones. For the role worker.
 */
export async function removeSessionsOfGoneBots(workerPool: Database): Promise<number> {
  const { rows } = await workerPool.query<{ user_id: string }>(
    `select distinct user_id from bots
      where gone_at < now() - interval '${GONE_FOR}'
        and (select count(*) from journal_sessions s where s.user_id = bots.user_id and s.bot_id = bots.id) > 1
      limit ${USERS_MAX}`,
  );
  let removed = 0;
  for (const { user_id: userId } of rows) {
    const { rowCount } = await asTenant(workerPool, { userId }, (database) =>
      database.query(REMOVE, [userId]),
    );
    removed += rowCount ?? 0;
  }
  return removed;
}

const REMOVE = `
  delete from journal_sessions s
   where user_id = $1 and (bot_id, epoch) in (
         select s.bot_id, s.epoch from journal_sessions s join bots b on b.user_id = s.user_id and b.id = s.bot_id
          where s.user_id = $1 and b.gone_at < now() - interval '${GONE_FOR}'
            and s.epoch < (select max(epoch) from journal_sessions newer where newer.user_id = $1 and newer.bot_id = b.id)
          limit ${SESSIONS_MAX})`;
