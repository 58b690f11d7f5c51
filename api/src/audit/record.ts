import type { Queryable } from "../database.ts";
import { networkOf } from "../network.ts";

/** One line of the audit. It names nobody: no e-mail address, no name that a person chose, no key. */
export interface AuditEntry {
  /** `stranger`: nobody whom we know; `system`: a sweep or a job. */
  readonly actorKind: "user" | "token" | "admin" | "system" | "stranger";
  readonly actorId?: string | undefined;
  /** Whose things it is about. */
  readonly userId?: string | undefined;
  /** Such as `session.begin`, or a route. */
  readonly action: string;
  /** Such as `bot/bot-…`. */
  readonly object?: string | undefined;
  /** `attempted` comes before the deed, in a transaction of its own, where the deed is not one with it. */
  readonly outcome: "attempted" | "done" | "denied" | "failed";
  /** Code of the error. */
  readonly code?: string | undefined;
  /** Where the request comes from; its network is kept. */
  readonly address?: string | undefined;
  readonly requestId?: string | undefined;
  readonly details?: Readonly<Record<string, string | number | boolean | null>> | undefined;
}

/**
 * Writes a line into the transaction of what it tells of: without the one the other cannot be. For the roles api, auth, admin
 * and worker. Example, in a transaction that ends a session:
 *
 *     await recordAudit(database, { actorKind: "user", actorId: userId, userId, action: "session.end",
 *       object: `session/${id}`, outcome: "done", address: request.ip, requestId: request.id });
 */
export function recordAudit(database: Queryable, entry: AuditEntry): Promise<void> {
  return recordAll(database, [entry]);
}

/** Several lines in one statement. */
export async function recordAll(
  database: Queryable,
  entries: readonly AuditEntry[],
): Promise<void> {
  await database.query(
    `insert into audit (actor_kind, actor_id, user_id, action, object, outcome, code, network, request_id, details)
     select actor_kind, actor_id, user_id, action, object, outcome, code, network, request_id,
            coalesce(details, '{}')
       from json_to_recordset($1) as r(
            actor_kind text, actor_id uuid, user_id uuid, action text, object text, outcome text,
            code text, network cidr, request_id text, details json)`,
    [JSON.stringify(entries.map(rowOf))],
  );
}

function rowOf(entry: AuditEntry) {
  const { actorKind, actorId, userId, address, requestId, ...same } = entry;
  return {
    ...same,
    actor_kind: actorKind,
    actor_id: actorId,
    user_id: userId,
    network: address === undefined ? undefined : networkOf(address),
    request_id: requestId,
  };
}
