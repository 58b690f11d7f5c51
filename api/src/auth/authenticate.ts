import type { FastifyReply, FastifyRequest } from "fastify";
import { ApiError } from "../errors.ts";
import { apiTokenOver, type ApiTokens, isApiToken } from "./api-tokens.ts";
import type { Revocations } from "./revocations.ts";
import { type Scope, scopeOf } from "./scopes.ts";
import { sessionEnded } from "./sessions.ts";
import { clientOf } from "../network.ts";
import { rateLimitFields, type RateLimiter, type RateState } from "../rate-limit.ts";
import type { Tokens } from "./tokens.ts";
import type { Caller, Tier } from "./user.ts";

export interface AuthenticateDeps {
  readonly tokens: Pick<Tokens, "find" | "verify">;
  readonly apiTokens: ApiTokens;
  readonly revocations: Pick<Revocations, "isFresh" | "hasEnded" | "tierOf">;
  readonly limiter: RateLimiter;
  readonly requestsPerMinute: Readonly<Record<Tier | "address", number>>;
}

/** On the request itself: a weak map of all requests is work for the garbage collector. */
const CALLER = Symbol("caller");

interface Authenticated {
  [CALLER]?: Caller;
}

/** Who makes the request, also when they are refused; undefined for whoever showed no token that is ours. */
export function findCaller(request: FastifyRequest & Authenticated): Caller | undefined {
  return request[CALLER];
}

/** Who makes the request. Only for routes behind `authenticate`. */
export function callerOf(request: FastifyRequest): Caller {
  const caller = findCaller(request);
  if (caller === undefined) throw new Error(`${request.url} is not behind authenticate`);
  return caller;
}

/**
 * A hook before the body is read: no token, no parsing. It counts the request against the tier's limit besides. Most callers are known
 * and counted in this process, and then nothing is waited for: a promise would be a tenth of what this hook costs.
 */
export function authenticate(withoutLimits: AuthenticateDeps) {
  const deps = { ...withoutLimits, limits: limitsOf(withoutLimits.requestsPerMinute) };
  return (
    request: FastifyRequest,
    reply: FastifyReply,
    done: () => void,
  ): Promise<void> | undefined => {
    const { authorization = "" } = request.headers;
    const known = deps.tokens.find(authorization);
    const admitted =
      known === undefined
        ? verify(tokenOf(authorization, reply), request.ip, deps).then((caller) =>
            admit(caller, { request, reply }, deps),
          )
        : admit(known, { request, reply }, deps);
    if (admitted === undefined) done();
    return admitted;
  };
}

const BEARER = /^bearer ./i;

function tokenOf(authorization: string, reply: FastifyReply): string {
  if (BEARER.test(authorization)) return authorization.slice("bearer ".length);
  reply.header("www-authenticate", "Bearer");
  throw new ApiError("unauthenticated", "send Authorization: Bearer <access token>");
}

interface Exchange {
  readonly request: FastifyRequest & Authenticated;
  readonly reply: FastifyReply;
}

/** Waits only for a count that other processes share. */
function admit(
  known: Caller,
  { request, reply }: Exchange,
  deps: AuthenticateDeps & { readonly limits: Limits },
): Promise<void> | undefined {
  request[CALLER] = known; // the audit tells who was refused
  const caller = upToDate(known, deps);
  if (caller.scopes !== undefined) assertScope(scopeOf(request), caller.scopes);
  request[CALLER] = caller;
  const { tier, userId } = caller;
  const { limit, assertWithin } = deps.limits[tier];
  const counted = deps.limiter.take(userId, limit);
  if (counted instanceof Promise) return counted.then((state) => assertWithin(state, reply));
  assertWithin(counted, reply);
  return undefined;
}

type Limits = Readonly<Record<Tier, ReturnType<typeof limitOf>>>;

function limitsOf({ free, pro, enterprise }: AuthenticateDeps["requestsPerMinute"]): Limits {
  return {
    free: limitOf("free", free),
    pro: limitOf("pro", pro),
    enterprise: limitOf("enterprise", enterprise),
  };
}

function limitOf(tier: Tier, limit: number) {
  const tell = rateLimitFields(tier, limit);
  const assertWithin = (state: RateState, reply: FastifyReply): void => {
    if (limit > 0) tell(reply, state);
    if (state.allowed) return;
    throw new ApiError("rate_limited", `the ${tier} tier has ${limit} requests a minute`, {
      retryAfterSeconds: state.resetSeconds,
    });
  };
  return { limit, assertWithin };
}

/**
 * An API token that is not known yet costs a query: whoever makes them up is stopped by their address. Access tokens cost a signature
 * check, less than a millisecond: to refuse an address that has shown bad ones would shut out whoever shares it.
 */
async function verify(token: string, address: string, deps: AuthenticateDeps): Promise<Caller> {
  const { tokens, apiTokens, limiter, requestsPerMinute } = deps;
  if (!isApiToken(token)) return tokens.verify(token);
  const known = apiTokens.find(token);
  if (known !== undefined) return known;
  const { allowed, resetSeconds } = await limiter.take(
    `token ${clientOf(address)}`,
    requestsPerMinute.address,
  );
  if (allowed) return apiTokens.verify(token);
  throw new ApiError("rate_limited", "too many new API tokens from this address", {
    retryAfterSeconds: resetSeconds,
  });
}

function assertScope(wanted: Scope | undefined, scopes: readonly Scope[]): void {
  if (wanted === undefined) throw new ApiError("token_refused", "log in to do this");
  if (scopes.includes(wanted)) return;
  throw new ApiError("scope_missing", `make a token with the scope ${wanted}`);
}

/** What is known of the token may be a quarter of an hour old; what has changed since counts. */
function upToDate(caller: Caller, { revocations }: AuthenticateDeps): Caller {
  if (!revocations.isFresh()) {
    throw new ApiError("database_unavailable", "log-ins cannot be checked: try again in a moment", {
      retryAfterSeconds: 1,
    });
  }
  if (revocations.hasEnded(caller.sessionId)) {
    throw caller.scopes === undefined ? sessionEnded() : apiTokenOver();
  }
  const tier = revocations.tierOf(caller.userId);
  return tier === undefined ? caller : { ...caller, tier };
}
