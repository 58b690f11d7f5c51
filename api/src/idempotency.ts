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
  /** Shape of the answer that is kept. */
  readonly answer: z.ZodType<T>;
}

/** After this a first request that left no answer is taken for dead. It is longer than any request may take. */
const ABANDONED_AFTER = "2 minutes";
const KEPT_FOR = "24 hours";

/**
 * Runs `create` at most once per key and answers what it answered then. A failure is not kept: it may be tried again.
 * @throws ApiError `idempotency_in_progress` while the first request is under way, `idempotency_key_reused` for another
 * request under the same key
 */
export async function once<T>(
  pool: Database,
  { userId, key, path, body, answer: schema }: IdempotentRequest<T>,
  create: () => Promise<T>,
): Promise<T> {
  if (key === undefined) return create();
  const tenant = { userId };
  const request = `${path} ${createHash("sha256").update(JSON.stringify(body)).digest("hex")}`;
  const earlier = await asTenant(pool, tenant, (database) =>
    claim(database, { userId, key, request }),
  );
  if (earlier !== undefined) return schema.parse(replay(earlier, request));
  try {
    const answer = await create();
    await asTenant(pool, tenant, (database) => keepAnswer(database, { userId, key, answer }));
    return answer;
  } catch (error) {
    // Should this fail too, the key is free when its first request counts as abandoned.
    await asTenant(pool, tenant, (database) => release(database, { userId, key })).catch(() => {});
    throw error;
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

/** Undefined when the key is ours now; else what an earlier request left under it. */
async function claim(
  database: Queryable,
  row: { readonly userId: string; readonly key: string; readonly request: string },
): Promise<KeyRow | undefined> {
  const { userId, key, request } = row;
  await database.query(
    `delete from idempotency_keys where user_id = $1
        and (created_at < now() - interval '${KEPT_FOR}'
             or (response is null and created_at < now() - interval '${ABANDONED_AFTER}'))`,
    [userId],
  );
  const { rowCount } = await database.query(
    `insert into idempotency_keys (user_id, key, request) values ($1, $2, $3)
     on conflict do nothing`,
    [userId, key, request],
  );
  if (rowCount === 1) return undefined;
  const { rows } = await database.query<KeyRow>(
    "select request, response from idempotency_keys where user_id = $1 and key = $2",
    [userId, key],
  );
  return atMostOne(rows);
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
    "delete from idempotency_keys where user_id = $1 and key = $2 and response is null",
    [row.userId, row.key],
  );
}
