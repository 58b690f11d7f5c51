import { paperServiceAccount } from "@tradingbots/crds";
import { atMostOne, type Database, inTransaction, type Queryable } from "../database.ts";
import { ApiError } from "../errors.ts";
import type { TokenHolder } from "./tokens.ts";

/** The bot on whose behalf a request is made. */
export interface Speaker {
  readonly userId: string;
  readonly botId: string;
  readonly namespace: string;
  readonly podUid: string;
  readonly tokenIssuedAt: Date;
}

/**
 * Runs `work` in a transaction that speaks for the bot of a token and sees nothing of any other.
 * @throws ApiError `unknown_bot` when the token belongs to no bot, or to another place or account than its bot's
 */
export async function asSpeaker<T>(
  pool: Pick<Database, "connect">,
  { pod, namespace, serviceAccount, issuedAt }: TokenHolder,
  work: (database: Queryable, speaker: Speaker) => Promise<T>,
): Promise<T> {
  if (pod === undefined) throw new ApiError("unknown_bot", "the token is not bound to a pod");
  const botId = pod.name; // a bot's pod has the bot's name
  return inTransaction(pool, async (database) => {
    const { rows } = await database.query<BotRow>(
      "select user_id, namespace, account_id from speak_for($1)",
      [botId],
    );
    const bot = atMostOne(rows);
    const accounts = [bot?.account_id, paperServiceAccount(botId)];
    if (bot === undefined || bot.namespace !== namespace || !accounts.includes(serviceAccount)) {
      throw new ApiError("unknown_bot", `no bot has the pod ${namespace}/${botId}`);
    }
    const speaker = { userId: bot.user_id, botId, namespace, podUid: pod.uid };
    return work(database, { ...speaker, tokenIssuedAt: issuedAt });
  });
}

interface BotRow {
  readonly user_id: string;
  readonly namespace: string;
  readonly account_id: string | null;
}
