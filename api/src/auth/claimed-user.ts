import type { FastifyRequest } from "fastify";

const claimed = new WeakMap<FastifyRequest, string>();

/** Notes whom somebody says they are, before it is known: when they are refused the audit tells whose log-in was tried. */
export function noteClaim(request: FastifyRequest, userId: string): void {
  claimed.set(request, userId);
}

export function findClaim(request: FastifyRequest): string | undefined {
  return claimed.get(request);
}
