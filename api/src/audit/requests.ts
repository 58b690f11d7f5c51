import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { findCaller } from "../auth/authenticate.ts";
import { findClaim } from "../auth/claimed-user.ts";
import type { Caller } from "../auth/user.ts";
import type { Queryable } from "../database.ts";
import { toApiError } from "../problem.ts";
import type { Server } from "../server.ts";
import type { AuditQueue } from "./queue.ts";
import { type AuditEntry, recordAudit } from "./record.ts";

const ACTION_MAX = 200;
/** Not allowed, not found, too often: whoever tries doors is seen by these. */
const REFUSALS = new Set([401, 403, 404, 429]);

type RefusalQueue = Pick<AuditQueue, "push" | "refuse">;

const attempted = new WeakMap<FastifyRequest, AuditEntry>();
const codes = new WeakMap<FastifyRequest, string>();

/** Tells the audit how requests ended: those that were attempted, and all that were refused. */
export function auditEnds(server: Server, queue: RefusalQueue): void {
  server.addHook("onError", async (request, _, error) => {
    codes.set(request, toApiError(error).code);
  });
  server.addHook("onResponse", (request, { statusCode }, done) => {
    const attempt = attempted.get(request);
    const code = codes.get(request);
    if (attempt !== undefined) {
      queue.push({ ...attempt, outcome: outcomeOf(statusCode), code });
    } else if (REFUSALS.has(statusCode)) {
      queue.refuse({ ...entryOf(request), outcome: "denied", code: code ?? String(statusCode) });
    }
    done();
  });
}

interface AuditedCallers {
  readonly actorKind: "user" | "admin";
  /** Whether requests that only read are told of too. */
  readonly reads: boolean;
}

/**
 * A hook before the handlers of known callers: no change is tried that the audit does not tell of already, whatever dies in
 * between.
 */
export function auditAttempts(
  database: Queryable,
  { actorKind, reads }: AuditedCallers = { actorKind: "user", reads: false },
) {
  const note = async (request: FastifyRequest): Promise<void> => {
    const entry = { ...entryOf(request), ...(actorKind === "admin" ? forOthers(request) : {}) };
    await recordAudit(database, { ...entry, outcome: "attempted" });
    attempted.set(request, entry);
  };
  return (
    request: FastifyRequest,
    _: FastifyReply,
    done: () => void,
  ): Promise<void> | undefined => {
    if (request.method !== "GET" || reads) return note(request);
    done();
    return undefined;
  };
}

function entryOf(request: FastifyRequest): Omit<AuditEntry, "outcome"> & { outcome: "attempted" } {
  const caller = findCaller(request);
  const { method, routeOptions, ip, id } = request;
  return {
    ...actorOf(caller),
    userId: caller?.userId ?? findClaim(request),
    action: `${method} ${routeOptions.url ?? "unknown"}`.slice(0, ACTION_MAX),
    object: objectOf(request),
    outcome: "attempted",
    address: ip,
    requestId: id,
  };
}

/** The ids that we give: whatever else a caller writes in its place, such as a passkey's own id, is kept nowhere. */
const OwnId = z.union([z.uuid(), z.string().regex(/^(bot|acct|halt)-[a-z0-9]{20}$/)]);
const Params = z.record(z.string(), z.string()).catch({});

/** The route with our own ids in their places. Of a path that is no route there is none. */
function objectOf({ routeOptions, params }: FastifyRequest): string | undefined {
  const given = Params.parse(params);
  return routeOptions.url?.replaceAll(
    /:(\w+)(\([^)]*\))?/g, // with or without what its value must look like
    (_, name: string) => OwnId.safeParse(given[name]).data ?? `:${name}`,
  );
}

const WithUser = z.object({ id: z.uuid() });

/** Administrators act on what belongs to others. */
function forOthers({ params }: FastifyRequest) {
  return { actorKind: "admin", userId: WithUser.safeParse(params).data?.id } as const;
}

function actorOf(caller: Caller | undefined): Pick<AuditEntry, "actorKind" | "actorId"> {
  if (caller === undefined) return { actorKind: "stranger" };
  const isLogin = caller.scopes === undefined;
  return isLogin
    ? { actorKind: "user", actorId: caller.userId }
    : { actorKind: "token", actorId: caller.sessionId };
}

function outcomeOf(status: number): AuditEntry["outcome"] {
  if (status < 400) return "done";
  return REFUSALS.has(status) ? "denied" : "failed";
}
