import type { Intent } from "@tradingbots/crds";
import type { Queryable } from "../database.ts";
import { ApiError } from "../errors.ts";
import { lockBot, requireNewestSession } from "./sessions.ts";
import type { Speaker } from "./speaker.ts";

/**
 * Writes down an order that is about to be sent: write-ahead log and fencing check in one. Repeating it changes nothing.
 * The lock keeps a new session and a new lease out until this transaction has ended.
 * @throws ApiError `unknown_session`; `stale_epoch` when a newer process has taken over; `no_lease`
 */
export async function appendIntent(
  database: Queryable,
  speaker: Speaker,
  { epoch, intent }: { readonly epoch: number; readonly intent: Intent },
): Promise<void> {
  await lockBot(database, speaker, "shared");
  const { isLeased } = await requireNewestSession(database, speaker, epoch);
  if (!isLeased) throw new ApiError("no_lease", "POST /v1/lease first: it is not held or ran out");
  await database.query(
    `insert into intents (user_id, bot_id, client_order_id, epoch, attempt, symbol, side, quantity,
                          leverage, stop_loss, take_profit, candle_open_time, confidence, at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
     on conflict (user_id, bot_id, client_order_id) do nothing`,
    [
      speaker.userId,
      speaker.botId,
      intent.clientOrderId,
      epoch,
      intent.attempt,
      intent.symbol,
      intent.side,
      intent.quantity,
      intent.leverage,
      intent.stopLoss,
      intent.takeProfit,
      intent.candleOpenTime,
      intent.confidence,
      intent.at,
    ],
  );
}
