import { Report, type ReportLine } from "@tradingbots/crds";
import type { z } from "zod";
import type { Queryable } from "../database.ts";

export type BotReport = Extract<z.infer<typeof ReportLine>, { botName: string }>;

interface ReportRow {
  readonly bot_id: string;
  readonly namespace: string;
  readonly pod_uid: string;
  readonly epoch: number;
  readonly report: unknown;
  readonly received_at: Date;
  readonly age_ms: number;
}

// The age by the database's clock, which also said when the report came: the reader's clock may be another.
const COLUMNS = `bot_id, namespace, pod_uid, epoch, report, received_at,
  greatest(floor(extract(epoch from clock_timestamp() - received_at) * 1000), 0)::float8 as age_ms`;

/** Latest reports in the order of bot ids, after one of them; `last` is undefined at the end. */
export async function reportsAfter(
  database: Queryable,
  botId: string,
  limit: number,
): Promise<{ readonly reports: readonly BotReport[]; readonly last: string | undefined }> {
  const { rows } = await database.query<ReportRow>(
    `select ${COLUMNS} from reports where bot_id > $1 order by bot_id limit $2`,
    [botId, limit],
  );
  return { reports: rows.flatMap(botReport), last: rows.at(-1)?.bot_id };
}

/** Latest reports of some bots. */
export async function reportsOf(
  database: Queryable,
  botIds: readonly string[],
): Promise<readonly BotReport[]> {
  const { rows } = await database.query<ReportRow>(
    `select ${COLUMNS} from reports where bot_id = any($1)`,
    [botIds],
  );
  return rows.flatMap(botReport);
}

/** Bots that reported in the last seconds. */
export async function recentReporters(
  database: Queryable,
  seconds: number,
): Promise<readonly string[]> {
  const { rows } = await database.query<{ bot_id: string }>(
    "select bot_id from reports where received_at > now() - make_interval(secs => $1)",
    [seconds],
  );
  return rows.map(({ bot_id }) => bot_id);
}

/** A report of an older version that no longer parses is as good as none: the bot will send another. */
function botReport(row: ReportRow): readonly BotReport[] {
  const report = Report.safeParse(row.report);
  if (!report.success) return [];
  const line = {
    botName: row.bot_id,
    namespace: row.namespace,
    podUid: row.pod_uid,
    epoch: row.epoch,
    report: report.data,
    receivedAt: row.received_at.toISOString(),
    ageMs: row.age_ms,
  };
  return [line];
}
