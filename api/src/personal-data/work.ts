import { asTenant, type Database } from "../database.ts";
import { type EraseDeps, erasureTurn } from "./erase.ts";
import { type ExportDeps, writeExport } from "./export.ts";
import { expiredExports, type Job, noteProgress, openJobs, type Progress } from "./job-store.ts";

/** Of one turn; the others come in the next. */
const JOBS_MAX = 50;
/** An export that fails so often is told to have failed: the user can ask again. */
const EXPORT_ATTEMPTS_MAX = 5;
/** Long enough to fetch it, short enough to leave no copy lying about. */
const EXPORT_DAYS = 7;

export type PersonalDataDeps = ExportDeps &
  EraseDeps & { readonly onError: (error: unknown) => void };

/** One turn of every job that is open, and the end of old exports. A process that dies leaves jobs that go on at the next turn. */
export async function workOnPersonalData(deps: PersonalDataDeps): Promise<void> {
  for (const job of await openJobs(deps.workerPool, JOBS_MAX)) {
    try {
      await noteOf(deps.workerPool, job, await turn(deps, job));
    } catch (error) {
      deps.onError(error);
      await noteOf(deps.workerPool, job, afterFailure(job)).catch(deps.onError);
    }
  }
  for (const { user_id: userId, id } of await expiredExports(deps.workerPool, EXPORT_DAYS)) {
    await asTenant(deps.workerPool, { userId }, (database) =>
      database.query("delete from personal_data_jobs where user_id = $1 and id = $2", [userId, id]),
    );
  }
}

async function turn(deps: PersonalDataDeps, job: Job): Promise<Progress> {
  if (job.kind === "erasure") return erasureTurn(deps, job);
  await writeExport(deps, job);
  return { status: "done", step: job.step, detail: "" };
}

/** What is to be erased is erased, however long it takes. */
function afterFailure({ kind, step, attempts }: Job): Progress {
  const isOver = kind === "export" && attempts + 1 >= EXPORT_ATTEMPTS_MAX;
  if (isOver) return { status: "failed", step, detail: "it could not be written: ask again" };
  return { status: "running", step, detail: "something did not answer: it is tried again" };
}

async function noteOf(workerPool: Database, job: Job, progress: Progress): Promise<void> {
  await asTenant(workerPool, { userId: job.user_id }, (database) =>
    noteProgress(database, job, progress),
  );
}
