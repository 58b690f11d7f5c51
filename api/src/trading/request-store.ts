import type { RequestResult } from "@tradingbots/crds";
import type { Queryable } from "../database.ts";

export interface ResultRow extends Omit<RequestResult, "at"> {
  readonly at: Date;
}

interface OfBot {
  readonly userId: string;
  readonly botId: string;
}

/** What the bot has said of these requests. */
export async function findResults(
  database: Queryable,
  { userId, botId }: OfBot,
  ids: readonly string[],
): Promise<readonly ResultRow[]> {
  const { rows } = await database.query<ResultRow>(
    `select id, action, symbol, side, status, reason, message, order_id as "orderId", at
       from request_results where user_id = $1 and bot_id = $2 and id = any($3::uuid[])`,
    [userId, botId, ids],
  );
  return rows;
}

/** Symbols on which the bot's latest report tells of something open. */
export async function openSymbols(
  database: Queryable,
  { userId, botId }: OfBot,
): Promise<readonly string[]> {
  const { rows } = await database.query<{ symbol: string }>(
    `select json_array_elements_text(report -> 'openSymbols') as symbol
       from reports where user_id = $1 and bot_id = $2`,
    [userId, botId],
  );
  return rows.map(({ symbol }) => symbol);
}
