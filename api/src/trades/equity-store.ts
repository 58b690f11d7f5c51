import type { Queryable } from "../database.ts";

export interface EquityFilter {
  readonly userId: string;
  readonly botId: string;
  readonly from: Date;
  readonly to: Date;
  readonly stepSeconds: number;
}

export interface EquityRow {
  readonly at: Date;
  readonly equity: string;
  readonly available: string;
  readonly currency: string;
}

/** The last word about the account in each step, oldest first; steps without any are left out. One look at the index per step. */
export async function equityBySteps(
  database: Queryable,
  { userId, botId, from, to, stepSeconds }: EquityFilter,
): Promise<readonly EquityRow[]> {
  const { rows } = await database.query<EquityRow>(
    `select last.at, last.equity, last.available, last.currency
       from generate_series(0, ceil(extract(epoch from $4::timestamptz - $3::timestamptz) / $5)::int - 1) as number,
            lateral (select $3::timestamptz + number * make_interval(secs => $5) as start) as step,
            lateral (
            select at, equity, available, currency from equity
             where user_id = $1 and bot_id = $2
               and at >= step.start and at < least(step.start + make_interval(secs => $5), $4)
             order by at desc limit 1) as last
      order by number`,
    [userId, botId, from, to, stepSeconds],
  );
  return rows;
}
