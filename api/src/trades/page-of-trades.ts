import { asTenant, type Database } from "../database.ts";
import { cutPage, decodeCursor, TimePosition } from "../page.ts";
import { requireBot } from "./require-bot.ts";
import { findTrades, type TradeFilter } from "./trade-store.ts";

interface Page {
  readonly cursor?: string | undefined;
  readonly limit: number;
}

/** One page of trades, newest first; the cursor is the last trade's time and id. @throws ApiError `not_found` for another's bot */
export async function pageOfTrades(
  pool: Database,
  { cursor, limit }: Page,
  filter: Omit<TradeFilter, "after" | "limit">,
) {
  const [openedAt, id] = cursor === undefined ? [] : decodeCursor(cursor, TimePosition);
  const after = openedAt === undefined || id === undefined ? undefined : { openedAt, id };
  const rows = await asTenant(pool, { userId: filter.userId }, async (database) => {
    if (after === undefined) await requireBot(database, filter.userId, filter.botId);
    return findTrades(database, { ...filter, after, limit });
  });
  return cutPage(rows, limit, (row) => [row.opened_at.toISOString(), row.id]);
}
