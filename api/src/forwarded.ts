import type { FastifyRequest } from "fastify";
import type { Server } from "./server.ts";

/**
 * Says once that somebody who is no trusted proxy names another's address. A client may, and it means nothing; an ingress that is not named
 * makes all its users one address, which limits and lock-outs then count together, and whoever runs this should hear of it.
 */
export function warnOfUnknownProxies(server: Server): void {
  let isSaid = false;
  server.addHook("onRequest", (request, _, done) => {
    if (!isSaid && isIgnored(request)) {
      isSaid = true;
      request.log.warn(
        { peer: request.socket.remoteAddress },
        "X-Forwarded-For is ignored: if this peer is your ingress, name it in TRUSTED_PROXIES (said once)",
      );
    }
    done();
  });
}

/** Of a peer that is believed, there is more than its own address. */
function isIgnored(request: FastifyRequest): boolean {
  return request.headers["x-forwarded-for"] !== undefined && (request.ips?.length ?? 0) <= 1;
}
