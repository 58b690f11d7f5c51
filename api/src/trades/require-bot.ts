import type { Queryable } from "../database.ts";
import { ApiError } from "../errors.ts";

/**
 * A question about a bot that is not the user's, or that nobody has, would be answered with nothing: it looks like a bot that never
 * traded. A bot that is gone keeps its row, as its trades stay. Undefined: no bot was named.
 * @throws ApiError `not_found`
 */
export async function requireBot(
  database: Queryable,
  userId: string,
  botId: string | undefined,
): Promise<void> {
  if (botId === undefined) return;
  const { rows } = await database.query("select 1 from bots where user_id = $1 and id = $2", [
    userId,
    botId,
  ]);
  if (rows.length === 0) throw new ApiError("not_found", "there is no such bot");
}
