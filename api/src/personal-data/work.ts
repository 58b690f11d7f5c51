import { asTenant, type Database } from "../database.ts";
import { type EraseDeps, erasureTurn } from "./erase.ts";
import { type ExportDeps, writeExport } from "./export.ts";
import {
  outdatedExports,
  isBeingForgotten,
  type Job,
  noteProgress,
  openJobs,
  type Progress,
} from "./job-store.ts";

/** Of one turn; the others come in the next. */
const JOBS_MAX = 50;
/** An export that fails so often is told to have failed: the user can ask again. */
const EXPORT_ATTEMPTS_MAX = 5;
/** Long enough to fetch it, short enough to leave no copy lying about. */
const EXPORT_DAYS = 7;

export type PersonalDataDeps = ExportDeps &
  EraseDeps & { readonly onError: (error: unknown) => void };

/** One turn of every job that is open, and the end of exports that are old or replaced. A process that ends or dies leaves jobs that go on at the next turn. */
export async function workOnPersonalData(
  deps: PersonalDataDeps,
  ending?: AbortSignal,
): Promise<void> {
  for (const job of await openJobs(deps.workerPool, JOBS_MAX)) {
    if (ending?.aborted === true) return;
    try {
      await noteOf(deps.workerPool, job, await turn(deps, job));
    } catch (error) {
      deps.onError(error);
      await noteOf(deps.workerPool, job, afterFailure(job)).catch(deps.onError);
    }
  }
  for (const { user_id: userId, id } of await outdatedExports(deps.workerPool, EXPORT_DAYS)) {
    await asTenant(deps.workerPool, { userId }, (database) =>
      database.query("delete from personal_data_jobs where user_id = $1 and id = $2", [userId, id]),
    );
  }
}

async function turn(deps: PersonalDataDeps, job: Job): Promise<Progress> {
  if (job.kind === "erasure") return erasureTurn(deps, job);
  // Erasures have their turns in this loop too: none comes between the question and the files.
  if (await isBeingForgotten(deps.workerPool, job.user_id)) return tooLate(job);
  await writeExport(deps, job);
  return { status: "done", step: job.step, detail: "" };
}

/** Files that were written now would outlive what they are of. */
function tooLate({ step }: Job): Progress {
  return { status: "failed", step, detail: "what it would hold is being erased" };
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
