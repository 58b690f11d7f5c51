import type { FastifyReply } from "fastify";

/**
 * Calls `end` once, when the request is answered or its client has left: an answer that waits behind another on its connection hears
 * of the connection's end too. False: the client had left before, and `end` has been called.
 */
export function onceOver({ raw }: FastifyReply, end: () => void): boolean {
  if (raw.destroyed) end();
  else raw.once("close", end);
  return !raw.destroyed;
}
