import { asTenant, type Database, type Queryable } from "../database.ts";

/** Why a trade is over of which nobody can say at what price it was left. */
const REASON = "ended";
/** Users of one turn; what is left comes in the next. */
const USERS_MAX = 100;

/** Its result is what is known of it: what it has paid. */
const END = `update trades set closed_at = greatest(now(), opened_at), pnl = funding - fees, reason = '${REASON}'`;

/**
 * Ends what a bot that trades on an account now had open on paper before. No exchange has any of it: its process would look for the
 * positions in vain, and open nothing for as long. Paper fills are told by their ids (bot-runtime, `paper-exchange.ts`).
 */
export async function endPaperTrades(
  database: Queryable,
  { userId, botId }: { readonly userId: string; readonly botId: string },
): Promise<void> {
  await database.query(
    `${END}
      where user_id = $1 and bot_id = $2 and closed_at is null
        and exists (select from fills f
                     where f.user_id = $1 and f.bot_id = $2 and f.trade_id = trades.id
                       and f.execution_id like 'paper-%')`,
    [userId, botId],
  );
}

/** Ends the open trades of paper bots that are gone for good. For the role worker; gives how many they were. */
export async function endTradesOfGonePaperBots(workerPool: Database): Promise<number> {
  const { rows } = await workerPool.query<{ user_id: string }>(
    `select distinct b.user_id from bots b
       join trades t on t.user_id = b.user_id and t.bot_id = b.id and t.closed_at is null
      where b.gone_at is not null and b.account_id is null
      limit ${USERS_MAX}`,
  );
  let ended = 0;
  for (const { user_id: userId } of rows) {
    const { rowCount } = await asTenant(workerPool, { userId }, (database) =>
      database.query(
        `${END}
          where user_id = $1 and closed_at is null
            and bot_id in (select id from bots
                            where user_id = $1 and gone_at is not null and account_id is null)`,
        [userId],
      ),
    );
    ended += rowCount ?? 0;
  }
  return ended;
}
