import { Gauge, type Registry } from "prom-client";
import type { Queryable } from "../database.ts";

/** Months that are made before they begin: the job may fail for so long before a record finds no partition of its own. */
const AHEAD = 2;

/** How many months are kept behind the one that runs. */
export interface Retention {
  readonly equity: number;
  readonly events: number;
}

/** A table in monthly partitions after a turn. */
export interface Months {
  readonly table: keyof Retention;
  /** Names of partitions. */
  readonly made: readonly string[];
  readonly dropped: readonly string[];
  /** Rows of times that no partition is for. */
  readonly astray: number;
  /** Of the last partition. */
  readonly ends: Date;
}

/**
 * Makes the partitions of the months to come and drops those that nobody needs any more: whole files, no row is looked at. Done
 * twice it does nothing. For the role worker.
 */
export async function keepMonths(
  database: Queryable,
  retention: Retention,
): Promise<readonly Months[]> {
  const tables = ["equity", "events"] as const;
  const found: Months[] = [];
  for (const table of tables) {
    const { rows } = await database.query<Omit<Months, "table">>(
      "select made, dropped, astray::int as astray, ends from keep_months($1, $2, $3)",
      [table, AHEAD, retention[table]],
    );
    found.push(...rows.map((row) => ({ table, ...row })));
  }
  return found;
}

/**
 * Tells until when records have partitions. The end and not what is left of it: so the metric tells the truth also when nobody
 * has looked for long.
 */
export function gaugeMonths(registry: Registry): (months: readonly Months[]) => void {
  const ends = new Gauge({
    name: "tradingbots_journal_partitions_end_timestamp_seconds",
    help: "Until when records of this table have a partition of their month.",
    labelNames: ["table"],
    registers: [registry],
  });
  const astray = new Gauge({
    name: "tradingbots_journal_astray_rows",
    help: "Records of times for which there is no partition.",
    labelNames: ["table"],
    registers: [registry],
  });
  return (months) => {
    for (const { table, ...month } of months) {
      ends.set({ table }, month.ends.getTime() / 1_000);
      astray.set({ table }, month.astray);
    }
  };
}
