import type { Intent } from "@tradingbots/crds";
import type { Queryable } from "../database.ts";
import { lockBot, requireNewestEpoch, requireSession } from "./sessions.ts";
import type { Speaker } from "./speaker.ts";

/**
 * Writes down an order that is about to be sent: write-ahead log and fencing check in one. Repeating it changes nothing.
 * @throws ApiError `stale_epoch` when a newer process has taken over
 */
export async function appendIntent(
  database: Queryable,
  speaker: Speaker,
  { epoch, intent }: { readonly epoch: number; readonly intent: Intent },
): Promise<void> {
  await lockBot(database, speaker, "shared");
  await requireSession(database, speaker, epoch);
  await requireNewestEpoch(database, speaker, epoch);
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
