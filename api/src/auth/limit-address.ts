import type { FastifyReply, FastifyRequest } from "fastify";
import { ApiError } from "../errors.ts";
import { clientOf } from "../network.ts";
import { rateLimitFields, type RateLimiter } from "../rate-limit.ts";

export interface AddressLimit {
  readonly limiter: RateLimiter;
  readonly requestsPerMinutePerAddress: number;
}

/** A hook for routes that need no access token: so many requests a minute from one address, counted by name. */
export function limitAddress(
  { limiter, requestsPerMinutePerAddress: limit }: AddressLimit,
  name: string,
) {
  const tell = rateLimitFields(name, limit);
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const state = await limiter.take(`${name} ${clientOf(request.ip)}`, limit);
    if (limit > 0) tell(reply, state);
    if (!state.allowed) {
      throw new ApiError("rate_limited", `an address has ${limit} attempts a minute`, {
        retryAfterSeconds: state.resetSeconds,
      });
    }
  };
}
