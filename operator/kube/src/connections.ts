import { connect as connectTcp, type Socket } from "node:net";
import { buildConnector, type Dispatcher, Pool } from "undici";
import type { ClusterAccess } from "./cluster-access.ts";

/** The API server closes idle connections after 90 s; ours go first, so a request never meets a closing one. */
const KEEP_ALIVE_MS = 45_000;
const CONNECT_TIMEOUT_MS = 5_000;

export interface Connections {
  /** @param atSend called when the request's bytes go to an open connection, in the same turn; a throw keeps them back */
  request(
    options: Dispatcher.RequestOptions,
    atSend?: () => void,
  ): Promise<Dispatcher.ResponseData>;
  /**
   * Ends all connections with a TCP reset. An ordinary close would leave what the kernel has not delivered yet to be delivered
   * later: after a partition, a minute after its time.
   */
  resetAll(): void;
  destroy(): Promise<void>;
}

/** Kept-alive HTTP/1.1 connections to one API server, at most so many at once. */
export function openConnections(access: ClusterAccess, limit: number): Connections {
  const sockets = new Set<Socket>();
  const pool = new Pool(access.server, {
    connections: limit,
    allowH2: false,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    connect: connectorOf(access, (socket) => {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
    }),
  });
  return {
    request: (options, atSend) =>
      (atSend === undefined ? pool : pool.compose(asking(atSend))).request(options),
    resetAll: () => {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    destroy: () => pool.destroy(),
  };
}

/** Opens the TCP connection itself, because only that, not the TLS on top of it, can be reset. */
function connectorOf(
  access: ClusterAccess,
  onSocket: (socket: Socket) => void,
): buildConnector.connector {
  const connect = buildConnector({
    allowH2: false,
    timeout: CONNECT_TIMEOUT_MS,
    ...(access.ca === undefined ? {} : { ca: access.ca }),
    ...access.clientCertificate,
  });
  return (options, done) => {
    const tcp = connectTcp({ host: options.hostname, port: portOf(options) });
    onSocket(tcp);
    if (options.protocol === "https:") {
      connect({ ...options, httpSocket: tcp }, done);
      return;
    }
    tcp.setNoDelay(true);
    tcp.once("error", (error) => done(error, null));
    tcp.once("connect", () => done(null, tcp));
  };
}

function portOf({ port, protocol }: buildConnector.Options): number {
  return port === "" ? (protocol === "https:" ? 443 : 80) : Number(port);
}

/** undici starts a request a turn or more after it was handed over: once a connection is there and known to be alive. */
function asking(atSend: () => void): Dispatcher.DispatcherComposeInterceptor {
  return (dispatch) => (options, handler) => {
    const start = handler.onRequestStart?.bind(handler);
    handler.onRequestStart = (controller, context) => {
      atSend();
      start?.(controller, context);
    };
    return dispatch(options, handler);
  };
}
