import type { FastifyReply, FastifyRequest } from "fastify";

/**
 * Calls `end` once, when the request is answered or its client has left. False: the client had left before, and `end` has been
 * called. An answer that waits for others on its connection does not hear of the connection's end, hence both are listened to.
 */
export function onceOver(request: FastifyRequest, reply: FastifyReply, end: () => void): boolean {
  const { socket } = request.raw;
  if (reply.raw.destroyed || socket.destroyed) {
    end();
    return false;
  }
  const over = () => {
    reply.raw.off("close", over);
    socket.off("close", over);
    end();
  };
  reply.raw.once("close", over);
  socket.once("close", over);
  return true;
}
