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

/** Amounts are exact decimals as text. */
export interface TotalsRow {
  readonly trades: number;
  readonly won: number;
  readonly pnl: string;
  readonly fees: string;
  readonly funding: string;
  readonly gains: string;
  readonly losses: string;
  readonly max_drawdown: string;
}

const CLOSED = `
  select id, symbol, pnl, fees, funding, closed_at
    from trades
   where user_id = $1 and closed_at >= $2 and closed_at < $3
     and ($4::text is null or bot_id = $4)
     and ($5::text is null or symbol = $5)`;

function values({ userId, from, to, botId, symbol }: ClosedTradesFilter): unknown[] {
  return [userId, from, to, botId, symbol];
}

/** Sums over closed trades; the drawdown is the deepest fall of the running result below its highest point, or below zero. */
export async function totalsOf(
  database: Queryable,
  filter: ClosedTradesFilter,
): Promise<TotalsRow> {
  const { rows } = await database.query<TotalsRow>(
    `with closed as (${CLOSED}),
          running as (select closed_at, id, sum(pnl) over (order by closed_at, id) as result from closed),
          falls as (
            select greatest(max(result) over (order by closed_at, id), 0) - result as fall from running)
     select count(*)::int as trades,
            (count(*) filter (where pnl > 0))::int as won,
            coalesce(sum(pnl), 0) as pnl, coalesce(sum(fees), 0) as fees,
            coalesce(sum(funding), 0) as funding,
            coalesce(sum(pnl) filter (where pnl > 0), 0) as gains,
            coalesce(-sum(pnl) filter (where pnl < 0), 0) as losses,
            coalesce((select max(fall) from falls), 0) as max_drawdown
       from closed`,
    values(filter),
  );
  const [totals] = rows;
  if (totals === undefined) throw new Error("an aggregate without a row");
  return totals;
}

export interface PartRow {
  readonly part: string;
  readonly trades: number;
  readonly won: number;
  readonly pnl: string;
}

const PARTS = {
  symbol: "symbol",
  day: "to_char(closed_at at time zone 'UTC', 'YYYY-MM-DD')",
} as const;

/** The same by symbol, or by day in UTC, in order of their names. */
export async function partsOf(
  database: Queryable,
  filter: ClosedTradesFilter,
  by: keyof typeof PARTS,
): Promise<readonly PartRow[]> {
  const { rows } = await database.query<PartRow>(
    `with closed as (${CLOSED})
     select ${PARTS[by]} as part, count(*)::int as trades,
            (count(*) filter (where pnl > 0))::int as won, sum(pnl) as pnl
       from closed group by 1 order by 1`,
    values(filter),
  );
  return rows;
}
