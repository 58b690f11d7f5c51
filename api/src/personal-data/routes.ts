import { Readable } from "node:stream";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { hasRole } from "../admin/administrator.ts";
import { callerOf } from "../auth/authenticate.ts";
import type { RequireStepUp } from "../auth/step-up.ts";
import { asTenant, type Database, type Queryable } from "../database.ts";
import { ApiError } from "../errors.ts";
import { listOf } from "../page.ts";
import { FAILURE } from "../problem.ts";
import {
  beginJob,
  type ExportedFile,
  filesOf,
  findJob,
  findPart,
  type Job,
  listJobs,
} from "./job-store.ts";

const tags = ["personal data"];
const JobView = z
  .object({
    id: z.string(),
    kind: z.enum(["export", "erasure"]),
    status: z.enum(["waiting", "running", "done", "failed"]),
    detail: z.string().describe("What it waits for, why it failed, or what comes next."),
    createdAt: z.iso.datetime(),
    finishedAt: z.iso.datetime().nullable(),
    files: z
      .array(z.object({ name: z.string(), bytes: z.int() }))
      .describe("Of an export that is done; they go after seven days, or when another is done."),
  })
  .meta({
    id: "PersonalDataJob",
    examples: [
      {
        id: "f0a9b8c7-1d2e-4f3a-8b4c-5d6e7f8a9b0c",
        kind: "export",
        status: "done",
        detail: "",
        createdAt: "2026-01-01T12:00:00.000Z",
        finishedAt: "2026-01-01T12:00:04.000Z",
        files: [{ name: "trades.csv", bytes: 48_210 }],
      },
    ],
  });

/** So that the words beside it are no ids: who asks for one of them by another method hears which it takes. */
const BY_ID = "/:id(^[0-9a-fA-F-]{36}$)";
const JobParams = z.object({ id: z.uuid() });
const FileParams = JobParams.extend({
  file: z
    .string()
    .max(64)
    .regex(/^[a-z-]+\.(json|csv)$/),
});
/** Text to clients, a stream to us. */
const streamOf = (example: string) => z.unknown().meta({ type: "string", examples: [example] });

const SCHEMAS = {
  list: {
    tags,
    summary: "My exports and my erasure",
    response: { 200: listOf(JobView), ...FAILURE },
  },
  read: {
    tags,
    summary: "One of them",
    params: JobParams,
    response: { 200: JobView, ...FAILURE },
  },
  export: {
    tags,
    summary: "Collect all that is mine, as JSON and CSV",
    description:
      "One that is under way, or was made within the last hour, is answered instead of another.",
    response: { 202: JobView, ...FAILURE },
  },
  erase: {
    tags,
    summary:
      "Forget me: bots close their positions, keys and data are deleted. It cannot be undone",
    response: { 202: JobView, ...FAILURE },
  },
  file: {
    tags,
    summary: "A file of an export",
    params: FileParams,
    response: {
      200: {
        description: "The file.",
        content: {
          "application/json": { schema: streamOf('[{"name":"Phone","last_used_at":null}]') },
          "text/csv": { schema: streamOf("name,last_used_at\r\nPhone,\r\n") },
        },
      },
      ...FAILURE,
    },
  },
} as const;

/** Said in the first answer: soon there is no log-in left to ask with. */
const ERASURE_BEGINS =
  "bots and exchange accounts end first; then every log-in is over for good, and what is left of you goes within half an hour";

export interface PersonalDataRouteDeps {
  readonly pool: Database;
  readonly requireStepUp: RequireStepUp;
}

/** /api/personal-data: what is mine, and the end of it. */
export function personalDataRoutes({
  pool,
  requireStepUp,
}: PersonalDataRouteDeps): FastifyPluginAsyncZod {
  return async (app) => {
    app.get("", { schema: SCHEMAS.list }, async (request) => {
      const { userId } = callerOf(request);
      const jobs = await asTenant(pool, { userId }, (database) => listJobs(database, userId));
      return { items: await Promise.all(jobs.map((job) => withFiles(pool, job))) };
    });

    app.get(BY_ID, { schema: SCHEMAS.read }, async (request) =>
      withFiles(pool, await requireJob(pool, callerOf(request).userId, request.params.id)),
    );

    for (const [kind, path] of [
      ["export", "/export"],
      ["erasure", "/erasure"],
    ] as const) {
      const schema = kind === "export" ? SCHEMAS.export : SCHEMAS.erase;
      app.post(path, { schema }, async (request, reply) => {
        const caller = callerOf(request);
        await requireStepUp(caller);
        const { userId } = caller;
        const job = await asTenant(pool, { userId }, async (database) => {
          if (kind === "erasure") await assertNoRole(database, userId);
          return beginJob(database, userId, kind);
        });
        return reply.code(202).send(await withFiles(pool, job));
      });
    }

    app.get(`${BY_ID}/files/:file`, { schema: SCHEMAS.file }, async (request, reply) => {
      const caller = callerOf(request);
      await requireStepUp(caller);
      const { userId } = caller;
      const { id, file } = request.params;
      await requireJob(pool, userId, id);
      const partOf = async (number: number) => {
        const part = await asTenant(pool, { userId }, (database) =>
          findPart(database, { userId, id }, { file, number }),
        );
        // Behind the last, unless all are gone: then what was sent must not pass for the whole.
        if (part === undefined) await requireJob(pool, userId, id);
        return part;
      };
      // Before the answer begins: what fails from here on can only cut it off.
      const first = await partOf(0);
      if (first === undefined) throw new ApiError("not_found", `there is no file ${file}`);
      reply.header("content-disposition", `attachment; filename="${file}"`);
      reply.type(file.endsWith(".csv") ? "text/csv; charset=utf-8" : "application/json");
      reply.serializer((payload: string) => payload);
      return reply.send(Readable.from(partsFrom(first, partOf)));
    });
  };
}

/** The last admin must not vanish. @throws ApiError `role_held` */
async function assertNoRole(database: Queryable, userId: string): Promise<void> {
  if (!(await hasRole(database, userId))) return;
  throw new ApiError("role_held", "have your role taken away first");
}

async function* partsFrom(
  first: string,
  partOf: (number: number) => Promise<string | undefined>,
): AsyncGenerator<string> {
  let number = 0;
  for (let part: string | undefined = first; part !== undefined; part = await partOf(++number)) {
    yield part;
  }
}

/** @throws ApiError `not_found`, also when it is another user's */
async function requireJob(pool: Database, userId: string, id: string): Promise<Job> {
  const job = await asTenant(pool, { userId }, (database) => findJob(database, { userId, id }));
  if (job === undefined) throw new ApiError("not_found", "there is no such job");
  return job;
}

async function withFiles(pool: Database, job: Job): Promise<z.infer<typeof JobView>> {
  const { user_id: userId, id, kind, status, detail, created_at, finished_at } = job;
  const hasFiles = kind === "export" && status === "done";
  const files: readonly ExportedFile[] = hasFiles
    ? await asTenant(pool, { userId }, (database) => filesOf(database, { userId, id }))
    : [];
  return {
    id,
    kind,
    status,
    detail: kind === "erasure" && status === "waiting" ? ERASURE_BEGINS : detail,
    createdAt: created_at.toISOString(),
    finishedAt: finished_at?.toISOString() ?? null,
    files: files.map(({ file, bytes }) => ({ name: file, bytes })),
  };
}
