import { type IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Server } from "../server.ts";
import { createTurns } from "./turns.ts";

/** What a browser's WebSocket can say of itself beside the address: it sets no headers. */
const TOKEN_PROTOCOL = "bearer.";

const upgrades = new WeakMap<IncomingMessage, Socket>();

/** The connection of a request that wants to become a WebSocket; undefined for all others. */
export function upgradeOf(request: IncomingMessage): Socket | undefined {
  return upgrades.get(request);
}

/**
 * Requests for a WebSocket go the way of every other request, past the same hooks: authentication, limits, logs. When a process dies,
 * thousands come to another at once: a little of them is done at a time, so that all other requests go on. As many wait as have a
 * connection.
 */
export function routeUpgrades(server: Server): void {
  const inTurns = createTurns(() => performance.now());
  server.server.on("upgrade", (request: IncomingMessage, socket: Duplex, early: Buffer) => {
    // The types allow for other streams than TCP and TLS; an error here would be nobody's.
    if (!(socket instanceof Socket)) {
      socket.destroy();
      return;
    }
    if (early.length > 0) socket.unshift(early);
    socket.on("error", () => socket.destroy());
    inTurns(() => {
      if (socket.destroyed) return;
      const response = responseOn(request, socket);
      if (response === undefined) {
        socket.destroy();
        return;
      }
      upgrades.set(request, socket);
      takeToken(request);
      server.routing(request, response);
    });
  });
}

/**
 * For the answer when it stays HTTP: it is the connection's last. Undefined while a request before it on the connection waits for its own:
 * Node tells of the upgrade all the same, and what it throws here would end the process.
 */
function responseOn(request: IncomingMessage, socket: Socket): ServerResponse | undefined {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  try {
    response.assignSocket(socket);
  } catch {
    return undefined;
  }
  response.once("finish", () => {
    response.detachSocket(socket);
    socket.destroySoon(); // with `end` it would stay as long as the other side likes
  });
  return response;
}

/** `Sec-WebSocket-Protocol: tradingbots.v1, bearer.<token>` says what `Authorization: Bearer <token>` does. */
function takeToken({ headers }: IncomingMessage): void {
  const token = protocolsOf(headers["sec-websocket-protocol"]).find((each) =>
    each.startsWith(TOKEN_PROTOCOL),
  );
  if (token === undefined) return;
  headers.authorization ??= `Bearer ${token.slice(TOKEN_PROTOCOL.length)}`;
}

export function protocolsOf(header: string | undefined): readonly string[] {
  return (header ?? "").split(",").map((protocol) => protocol.trim());
}
