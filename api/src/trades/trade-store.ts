import type { Queryable } from "../database.ts";

export interface TradeRow {
  readonly id: string;
  readonly bot_id: string;
  readonly symbol: string;
  readonly side: "long" | "short";
  readonly quantity: string;
  readonly entry_price: string;
  readonly exit_price: string | null;
  readonly pnl: string | null;
  readonly fees: string;
  readonly funding: string;
  readonly opened_at: Date;
  readonly closed_at: Date | null;
  readonly reason: string | null;
}

export interface TradeFilter {
  readonly userId: string;
  readonly botId?: string | undefined;
  readonly symbol?: string | undefined;
  /** Opened at or after. */
  readonly from?: Date | undefined;
  /** Opened before. */
  readonly to?: Date | undefined;
  readonly after?: { readonly openedAt: Date; readonly id: string } | undefined;
  readonly limit: number;
}

/**
 * Newest first; one row more than the limit, when there is one. Which rows those are is found in one index that holds all that can be
 * asked for: a symbol that its user hardly ever traded costs a walk through the index, and not a look at each of their trades.
 */
export async function findTrades(
  database: Queryable,
  { userId, botId, symbol, from, to, after, limit }: TradeFilter,
): Promise<readonly TradeRow[]> {
  const { rows } = await database.query<TradeRow>(
    `select id, bot_id, symbol, side, quantity, entry_price, exit_price, pnl, fees, funding,
            opened_at, closed_at, reason
       from (select user_id, bot_id, id from trades
              where user_id = $1
                and ($2::text is null or bot_id = $2)
                and ($3::text is null or symbol = $3)
                and ($4::timestamptz is null or opened_at >= $4)
                and ($5::timestamptz is null or opened_at < $5)
                and ($6::timestamptz is null or (opened_at, id) < ($6, $7::uuid))
              order by opened_at desc, id desc
              limit $8) as page
       join trades using (user_id, bot_id, id)
      order by opened_at desc, id desc`,
    [userId, botId, symbol, from, to, after?.openedAt, after?.id, limit + 1],
  );
  return rows;
}
