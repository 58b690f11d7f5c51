import type { Queryable } from "../database.ts";

export interface ClosedTradesFilter {
  readonly userId: string;
  readonly botId: string | undefined;
  readonly symbol: string | undefined;
  /** Closed at or after. */
  readonly from: Date;
  /** Closed before. */
  readonly to: Date;
}

/** Sums over closed trades. Amounts are exact decimals as text. */
export interface SumRow {
  readonly kind: "all" | "symbol" | "day";
  /** The symbol or the day; null for all. */
  readonly part: string | null;
  readonly trades: number;
  readonly won: number;
  readonly pnl: string;
  readonly fees: string;
  readonly funding: string;
  readonly gains: string;
  readonly losses: string;
  /** Of all: the deepest fall of the running result below its highest point, or below zero. */
  readonly max_drawdown: string;
}

export interface Sums {
  readonly totals: SumRow;
  readonly bySymbol: readonly SumRow[];
  /** By day in UTC. */
  readonly byDay: readonly SumRow[];
}

/**
 * All sums in one statement, so that they agree with one another; parts in the order of their names. Trades come from an index in the
 * order in which they were closed, are added up by symbol and day once, and those sums by symbol and by day.
 */
export async function sumsOf(database: Queryable, filter: ClosedTradesFilter): Promise<Sums> {
  const { userId, from, to, botId, symbol } = filter;
  const { rows } = await database.query<SumRow>(
    `with closed as not materialized (
       select id, symbol, coalesce(pnl, 0) as pnl, fees, funding, closed_at
         from trades
        where user_id = $1 and closed_at >= $2 and closed_at < $3
          and ($4::text is null or bot_id = $4)
          and ($5::text is null or symbol = $5)),
          running as (
            select closed_at, id, sum(pnl) over (order by closed_at, id rows unbounded preceding) as result from closed),
          falls as (
            select greatest(max(result) over (order by closed_at, id rows unbounded preceding), 0) - result as fall
              from running),
          parts as (
            select symbol, (closed_at at time zone 'UTC')::date as day, count(*) as trades,
                   count(*) filter (where pnl > 0) as won, sum(pnl) as pnl, sum(fees) as fees,
                   sum(funding) as funding, sum(pnl) filter (where pnl > 0) as gains,
                   sum(pnl) filter (where pnl < 0) as losses
              from closed group by symbol, day)
     select case when grouping(symbol) = 0 then 'symbol' when grouping(day) = 0 then 'day' else 'all' end as kind,
            coalesce(symbol, to_char(day, 'YYYY-MM-DD')) as part,
            coalesce(sum(trades), 0)::int as trades, coalesce(sum(won), 0)::int as won,
            coalesce(sum(pnl), 0) as pnl, coalesce(sum(fees), 0) as fees,
            coalesce(sum(funding), 0) as funding,
            coalesce(sum(gains), 0) as gains, coalesce(-sum(losses), 0) as losses,
            coalesce((select max(fall) from falls), 0) as max_drawdown
       from parts
      group by grouping sets ((), (symbol), (day))
      order by part`,
    [userId, from, to, botId, symbol],
  );
  const totals = rows.find(({ kind }) => kind === "all");
  if (totals === undefined) throw new Error("an aggregate without a row");
  const bySymbol = rows.filter(({ kind }) => kind === "symbol");
  return { totals, bySymbol, byDay: rows.filter(({ kind }) => kind === "day") };
}
