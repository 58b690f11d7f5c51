import type { FastifyReply, FastifyRequest } from "fastify";
import { ApiError } from "../errors.ts";
import type { Revocations } from "./revocations.ts";
import { sessionEnded } from "./sessions.ts";
import { rateLimitHeaders, type RateLimiter } from "../rate-limit.ts";
import type { Tokens } from "./tokens.ts";
import type { Caller, Tier } from "./user.ts";

export interface AuthenticateDeps {
  readonly tokens: Pick<Tokens, "verify">;
  readonly revocations: Pick<Revocations, "isFresh" | "hasEnded" | "tierOf">;
  readonly limiter: RateLimiter;
  readonly requestsPerMinute: Readonly<Record<Tier, number>>;
}

const callers = new WeakMap<FastifyRequest, Caller>();

/** Who makes the request; undefined for whoever did not get past `authenticate`. */
export function findCaller(request: FastifyRequest): Caller | undefined {
  return callers.get(request);
}

/** Who makes the request. Only for routes behind `authenticate`. */
export function callerOf(request: FastifyRequest): Caller {
  const caller = findCaller(request);
  if (caller === undefined) throw new Error(`${request.url} is not behind authenticate`);
  return caller;
}

/** A hook before the body is read: no token, no parsing. It counts the request against the tier's limit besides. */
export function authenticate(deps: AuthenticateDeps) {
  const { tokens, limiter, requestsPerMinute } = deps;
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const [scheme, token] = (request.headers.authorization ?? "").split(" ", 2);
    if (scheme?.toLowerCase() !== "bearer" || token === undefined || token === "") {
      reply.header("www-authenticate", "Bearer");
      throw new ApiError("unauthenticated", "send Authorization: Bearer <access token>");
    }
    const caller = upToDate(await tokens.verify(token), deps);
    const limit = requestsPerMinute[caller.tier];
    const state = limiter.take(`user ${caller.userId}`, limit);
    if (limit > 0) reply.headers(rateLimitHeaders(caller.tier, state));
    if (!state.allowed) {
      throw new ApiError("rate_limited", `the ${caller.tier} tier has ${limit} requests a minute`, {
        retryAfterSeconds: state.resetSeconds,
      });
    }
    callers.set(request, caller);
  };
}

/** The token is a quarter of an hour old at most; what has changed since counts. */
function upToDate(caller: Caller, { revocations }: AuthenticateDeps): Caller {
  if (!revocations.isFresh()) {
    throw new ApiError("database_unavailable", "log-ins cannot be checked: try again in a moment", {
      retryAfterSeconds: 1,
    });
  }
  if (revocations.hasEnded(caller.sessionId)) throw sessionEnded();
  const tier = revocations.tierOf(caller.userId);
  return tier === undefined ? caller : { ...caller, tier };
}
