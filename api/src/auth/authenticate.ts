import type { FastifyReply, FastifyRequest } from "fastify";
import { ApiError } from "../errors.ts";
import { rateLimitHeaders, type RateLimiter } from "../rate-limit.ts";
import type { Tokens } from "./tokens.ts";
import type { Caller, Tier } from "./user.ts";

export interface AuthenticateDeps {
  readonly tokens: Pick<Tokens, "verify">;
  readonly limiter: RateLimiter;
  readonly requestsPerMinute: Readonly<Record<Tier, number>>;
}

const callers = new WeakMap<FastifyRequest, Caller>();

/** Who makes the request. Only for routes behind `authenticate`. */
export function callerOf(request: FastifyRequest): Caller {
  const caller = callers.get(request);
  if (caller === undefined) throw new Error(`${request.url} is not behind authenticate`);
  return caller;
}

/** A hook before the body is read: no token, no parsing. It counts the request against the tier's limit besides. */
export function authenticate({ tokens, limiter, requestsPerMinute }: AuthenticateDeps) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const [scheme, token] = (request.headers.authorization ?? "").split(" ", 2);
    if (scheme?.toLowerCase() !== "bearer" || token === undefined || token === "") {
      reply.header("www-authenticate", "Bearer");
      throw new ApiError("unauthenticated", "send Authorization: Bearer <access token>");
    }
    const caller = await tokens.verify(token);
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
