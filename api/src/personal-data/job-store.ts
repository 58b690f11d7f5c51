import { atMostOne, type Queryable } from "../database.ts";

export type JobKind = "export" | "erasure";

export interface Job {
  readonly user_id: string;
  readonly id: string;
  readonly kind: JobKind;
  readonly status: "waiting" | "running" | "done" | "failed";
  /** Where an erasure goes on. */
  readonly step: string;
  /** A sentence for the user. */
  readonly detail: string;
  readonly attempts: number;
  readonly created_at: Date;
  readonly finished_at: Date | null;
}

const COLUMNS = "user_id, id, kind, status, step, detail, attempts, created_at, finished_at";
/** Whoever asks again so soon gets the export that is there. */
const EXPORT_FRESH_FOR = "1 hour";

/** Begins a job, or answers the one that is under way. For the API's role inside the user's transaction. */
export async function beginJob(database: Queryable, userId: string, kind: JobKind): Promise<Job> {
  await database.query(
    `insert into personal_data_jobs (user_id, kind)
     select $1, $2 where not exists (
       select from personal_data_jobs
        where user_id = $1 and kind = $2 and kind = 'export' and status = 'done'
          and created_at > now() - interval '${EXPORT_FRESH_FOR}')
     on conflict (user_id, kind) where finished_at is null do nothing`,
    [userId, kind],
  );
  const { rows } = await database.query<Job>(
    `select ${COLUMNS} from personal_data_jobs
      where user_id = $1 and kind = $2 order by created_at desc limit 1`,
    [userId, kind],
  );
  const job = atMostOne(rows);
  if (job === undefined) throw new Error("a job was begun and then not there");
  return job;
}

/** The user's newest jobs. */
export async function listJobs(database: Queryable, userId: string): Promise<readonly Job[]> {
  const { rows } = await database.query<Job>(
    `select ${COLUMNS} from personal_data_jobs where user_id = $1 order by created_at desc limit 20`,
    [userId],
  );
  return rows;
}

interface JobKey {
  readonly userId: string;
  readonly id: string;
}

export async function findJob(
  database: Queryable,
  { userId, id }: JobKey,
): Promise<Job | undefined> {
  const { rows } = await database.query<Job>(
    `select ${COLUMNS} from personal_data_jobs where user_id = $1 and id = $2`,
    [userId, id],
  );
  return atMostOne(rows);
}

export interface ExportedFile {
  readonly file: string;
  readonly bytes: number;
}

export async function filesOf(
  database: Queryable,
  { userId, id }: JobKey,
): Promise<readonly ExportedFile[]> {
  const { rows } = await database.query<ExportedFile>(
    `select file, sum(octet_length(content))::int as bytes from personal_data_parts
      where user_id = $1 and job_id = $2 group by file order by file`,
    [userId, id],
  );
  return rows;
}

/** A piece of a file; undefined behind the last. */
export async function findPart(
  database: Queryable,
  { userId, id }: JobKey,
  { file, number }: { readonly file: string; readonly number: number },
): Promise<string | undefined> {
  const { rows } = await database.query<{ content: string }>(
    `select content from personal_data_parts
      where user_id = $1 and job_id = $2 and file = $3 and number = $4`,
    [userId, id, file, number],
  );
  return atMostOne(rows)?.content;
}

/** What is to be done, whoever it is for; what has waited through many turns stands behind what is new. For the worker's role, as all below. */
export async function openJobs(database: Queryable, limit: number): Promise<readonly Job[]> {
  const { rows } = await database.query<Job>(
    `select ${COLUMNS} from personal_data_jobs
      where finished_at is null order by attempts, created_at limit $1`,
    [limit],
  );
  return rows;
}

export interface Progress {
  readonly status: Job["status"];
  readonly step: string;
  readonly detail: string;
}

/** Notes how far a job has come; `attempts` counts the turns of one step. */
export async function noteProgress(
  database: Queryable,
  { user_id, id }: Pick<Job, "user_id" | "id">,
  { status, step, detail }: Progress,
): Promise<void> {
  await database.query(
    `update personal_data_jobs
        set status = $3, step = $4, detail = $5,
            attempts = case when step = $4 then attempts + 1 else 0 end,
            stepped_at = case when step = $4 then stepped_at else now() end,
            finished_at = case when $3 in ('done', 'failed') then now() end
      where user_id = $1 and id = $2`,
    [user_id, id, status, step, detail],
  );
}

/** Whether an erasure of the user has come to the rows, or is done. */
export async function isBeingForgotten(database: Queryable, userId: string): Promise<boolean> {
  const { rows } = await database.query(
    `select from personal_data_jobs
      where user_id = $1 and kind = 'erasure' and step in ('erase', 'forget') limit 1`,
    [userId],
  );
  return rows.length > 0;
}

/**
 * Exports that have been there long enough, or that a newer one stands in for: a failed one leaves what it has written, and is
 * no reason to take a whole one away.
 */
export async function outdatedExports(
  database: Queryable,
  days: number,
): Promise<readonly Pick<Job, "user_id" | "id">[]> {
  const { rows } = await database.query<Pick<Job, "user_id" | "id">>(
    `select user_id, id from personal_data_jobs old
      where kind = 'export' and finished_at is not null
        and (finished_at < now() - make_interval(days => $1) or exists (
          select from personal_data_jobs newer
           where newer.user_id = old.user_id and newer.kind = 'export' and newer.created_at > old.created_at
             and (newer.status = 'done' or (newer.status = 'failed' and old.status = 'failed'))))
      limit 100`,
    [days],
  );
  return rows;
}
