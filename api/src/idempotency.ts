import { createHash } from "node:crypto";
import { z } from "zod";
import { asTenant, atMostOne, type Queryable, type Database } from "./database.ts";
import { ApiError } from "./errors.ts";

/** Header of POSTs that create something. Compared as it is. */
export const IdempotencyHeaders = z.object({
  "idempotency-key": z
    .string()
    .regex(/^[\x21-\x7e]{1,200}$/, "use 1 to 200 printable ASCII characters")
    .optional()
    .describe(
      "The same key, path and body within 24 h give the same answer and create nothing twice.",
    ),
});

export interface IdempotentRequest<T> {
  readonly userId: string;
  readonly key: string | undefined;
  readonly path: string;
  readonly body: unknown;
  /** Of the object to create, unless an earlier request under the key has chosen one. */
  readonly newId: string;
  /** Shape of the answer that is kept. */
  readonly answer: z.ZodType<T>;
}

/** After this a request that left no answer is taken for dead. It is longer than any request may take. */
const ABANDONED_AFTER = "2 minutes";
const KEPT_FOR = "24 hours";
/** Of one statement of the sweep. */
const REMOVED_MAX = 5_000;

/**
 * Answers what the first request under the key was answered. A failure is not kept: the same request may be tried again,
 * and `create` gets the same id again. It must take an object of this id that exists already for its own, because nobody
 * knows how far a request came that left no answer.
 * @throws ApiError `idempotency_in_progress` while another request is under way, `idempotency_key_reused` for another
 * request under the same key
 */
export async function once<T>(
  pool: Database,
  { userId, key, path, body, newId, answer: schema }: IdempotentRequest<T>,
  create: (id: string) => Promise<T>,
): Promise<T> {
  if (key === undefined) return create(newId);
  const tenant = { userId };
  const request = `${path} ${createHash("sha256").update(JSON.stringify(body)).digest("hex")}`;
  const claimed = await asTenant(pool, tenant, (database) =>
    claim(database, { userId, key, request, newId }),
  );
  if (!("id" in claimed)) return schema.parse(replay(claimed, request));
  try {
    const answer = await create(claimed.id);
    await asTenant(pool, tenant, (database) => keepAnswer(database, { userId, key, answer }));
    return answer;
  } catch (error) {
    // Should this fail too, the key is free when this request counts as abandoned.
    await asTenant(pool, tenant, (database) => release(database, { userId, key })).catch(() => {});
    throw error;
  }
}

/** Removes the keys whose time is over, also of users who send no further request. For the role worker, which sees no others. */
export async function removeOldKeys(workerPool: Queryable, ending?: AbortSignal): Promise<void> {
  for (;;) {
    const { rowCount } = await workerPool.query(
      `delete from idempotency_keys where (user_id, key) in (
         select user_id, key from idempotency_keys
          where created_at < now() - interval '${KEPT_FOR}' order by created_at limit ${REMOVED_MAX})`,
    );
    if (rowCount !== REMOVED_MAX || ending?.aborted === true) return;
  }
}

interface KeyRow {
  readonly request: string;
  readonly response: unknown;
}

function replay(earlier: KeyRow, request: string): unknown {
  if (earlier.request !== request) {
    throw new ApiError("idempotency_key_reused", "use a new key for another request");
  }
  if (earlier.response === null) {
    throw new ApiError("idempotency_in_progress", "wait for the first request's answer", {
      retryAfterSeconds: 1,
    });
  }
  return earlier.response;
}

interface Claim {
  readonly userId: string;
  readonly key: string;
  readonly request: string;
  readonly newId: string;
}

/** The object's id when the key is ours now; else what another request left under it. */
async function claim(
  database: Queryable,
  { userId, key, request, newId }: Claim,
): Promise<{ readonly id: string } | KeyRow> {
  await database.query(
    `delete from idempotency_keys
      where user_id = $1 and created_at < now() - interval '${KEPT_FOR}'`,
    [userId],
  );
  const { rows: claimed } = await database.query<{ id: string }>(
    `insert into idempotency_keys as known (user_id, key, request, object_id)
     values ($1, $2, $3, $4)
     on conflict (user_id, key) do update set claimed_at = now()
      where known.request = excluded.request and known.response is null
        and (known.claimed_at is null or known.claimed_at < now() - interval '${ABANDONED_AFTER}')
     returning object_id as id`,
    [userId, key, request, newId],
  );
  const ours = atMostOne(claimed);
  if (ours !== undefined) return ours;
  const { rows } = await database.query<KeyRow>(
    "select request, response from idempotency_keys where user_id = $1 and key = $2",
    [userId, key],
  );
  const earlier = atMostOne(rows);
  if (earlier === undefined) throw new Error("a key was taken and then not there");
  return earlier;
}

async function keepAnswer(
  database: Queryable,
  row: { readonly userId: string; readonly key: string; readonly answer: unknown },
): Promise<void> {
  await database.query(
    "update idempotency_keys set response = $3 where user_id = $1 and key = $2",
    [row.userId, row.key, JSON.stringify(row.answer)],
  );
}

async function release(
  database: Queryable,
  row: { readonly userId: string; readonly key: string },
): Promise<void> {
  await database.query(
    "update idempotency_keys set claimed_at = null where user_id = $1 and key = $2 and response is null",
    [row.userId, row.key],
  );
}
