import type { TradingHalt } from "@tradingbots/crds";
import { atMostOne, type Queryable } from "../database.ts";

/** What the journal needs to know of a halt. */
export interface Halt {
  readonly name: string;
  readonly spec: TradingHalt["spec"];
}

/** All halts of the cluster that were not lifted. */
export interface KnownHalts {
  /** The resource version as of which none is missing. */
  readonly asOf: number;
  readonly halts: readonly Halt[];
}

/** The version as of which Postgres has the halts; below all there are when it has never had any. */
export async function sharedAsOf(database: Queryable): Promise<string> {
  const { rows } = await database.query<{ as_of: string }>("select as_of from known_halts");
  return atMostOne(rows)?.as_of ?? "-1";
}

/**
 * Writes down what this replica knows for those that hear less, unless another one has written more: a stale replica neither brings a
 * lifted halt back nor takes a newer one away.
 * @param outdated a version that Postgres had before this replica read all halts: it has more to say, also where versions began anew
 * with a new cluster or with etcd's backup
 */
export async function shareHalts(
  database: Queryable,
  { asOf, halts }: KnownHalts,
  outdated: string,
): Promise<void> {
  await database.query(
    `insert into known_halts (as_of, halts) values ($1, $2)
     on conflict (is_only) do update set as_of = excluded.as_of, halts = excluded.halts
      where known_halts.as_of <= excluded.as_of or known_halts.as_of = $3`,
    [asOf, JSON.stringify(halts), outdated],
  );
}
