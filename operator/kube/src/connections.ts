import type { IncomingHttpHeaders } from "node:http";
import { connect as connectTcp, type Socket } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";
import { buildConnector, type Dispatcher, Pool } from "undici";
import type { ClusterAccess } from "./cluster-access.ts";

/** The API server closes idle connections after 90 s; ours go first, so a request never meets a closing one. */
const KEEP_ALIVE_MS = 45_000;
const CONNECT_TIMEOUT_MS = 5_000;

export interface Answer {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

interface Terms {
  /** Called when the request's bytes go to an open connection, in the same turn; a throw keeps them back. */
  readonly atSend?: (() => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** A longer body ends the exchange. */
  readonly maxBytes: number;
}

export interface Connections {
  /** One request with its whole answer. @throws what `atSend` throws, the signal's reason, or why no answer came */
  exchange(options: Dispatcher.DispatchOptions, terms: Terms): Promise<Answer>;
  /** The answer's head, and its body as a stream. */
  open(options: Dispatcher.RequestOptions): Promise<Dispatcher.ResponseData>;
  /**
   * Ends all connections with a TCP reset. An ordinary close would leave what the kernel has not delivered yet to be delivered
   * later: after a partition, a minute after its time.
   */
  resetAll(): void;
  destroy(): Promise<void>;
}

export interface ConnectionOptions {
  /** So many connections at once. */
  readonly limit: number;
  /** HTTP/2 where the server speaks it: many exchanges on one connection, which is asked for a sign of life this often. */
  readonly shared?: { readonly pingMs: number };
}

/** So many times without an answer, and a shared connection is taken for dead: its watches may all be silent for good reasons. */
const UNANSWERED_MAX = 3;
/** A server of HTTP/2 speaks first, and at once: a new connection is looked at this often until it has. */
const GREETING_LOOK_MS = 1_000;

/** Kept-alive connections to one API server. */
export function openConnections(
  access: ClusterAccess,
  { limit, shared }: ConnectionOptions,
): Connections {
  const sockets = new Set<Socket>();
  const pool = new Pool(access.server, {
    connections: limit,
    allowH2: shared !== undefined,
    ...(shared === undefined ? {} : { h2Options: { pingInterval: shared.pingMs } }),
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    connect: connectorOf(access, shared, (socket) => {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
    }),
  });
  return {
    exchange: (options, terms) => exchange(pool, options, terms),
    open: (options) => pool.request(options),
    resetAll: () => {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    destroy: () => pool.destroy(),
  };
}

/**
 * Ends a connection whose other end is gone without a word. Looks are counted and not time, so that a process that was frozen itself reads
 * what has come meanwhile before it judges.
 */
function endWhenDead(socket: Socket, pingMs: number): void {
  let bytesRead = 0;
  let unanswered = 0;
  const timer = setInterval(() => {
    unanswered = socket.bytesRead === bytesRead ? unanswered + 1 : 0;
    bytesRead = socket.bytesRead;
    if (unanswered > UNANSWERED_MAX) socket.resetAndDestroy();
  }, pingMs);
  timer.unref();
  socket.once("close", () => clearInterval(timer));
}

/** Ends a new connection on which nothing comes: of a reset in the moment in which HTTP/2 takes a connection over nobody is told. */
function endWhenMute(tcp: Socket, secured: TLSSocket): void {
  let looks = 0;
  const timer = setInterval(() => {
    if (secured.bytesRead > 0) clearInterval(timer);
    else if (++looks > UNANSWERED_MAX) tcp.resetAndDestroy();
  }, GREETING_LOOK_MS);
  timer.unref();
  tcp.once("close", () => clearInterval(timer));
}

/** Opens the TCP connection itself, because only that, not the TLS on top of it, can be reset. */
function connectorOf(
  access: ClusterAccess,
  shared: ConnectionOptions["shared"],
  onSocket: (socket: Socket) => void,
): buildConnector.connector {
  // One for all connections: each of its own parses the certificates anew and keeps them, 0.2 MB for each of 130 watches.
  const secured = madeOf(access.ca, (ca) =>
    buildConnector({
      allowH2: shared !== undefined,
      timeout: CONNECT_TIMEOUT_MS,
      secureContext: createSecureContext({
        ...(ca === undefined ? {} : { ca }),
        ...access.clientCertificate,
      }),
    }),
  );
  return (options, done) => {
    // First, for it may throw, and a socket would be left without anybody who hears of its end.
    const connect = options.protocol === "https:" ? secured() : undefined;
    const tcp = connectTcp({ host: options.hostname, port: portOf(options) });
    onSocket(tcp);
    if (connect !== undefined) {
      connect({ ...options, httpSocket: tcp }, (...[error, socket]) => {
        // Whoever does not speak HTTP/2 is sent no pings, and has a watchdog for each watch.
        const isPinged = socket instanceof TLSSocket && socket.alpnProtocol === "h2";
        if (shared !== undefined && isPinged) {
          endWhenMute(tcp, socket);
          endWhenDead(tcp, shared.pingMs);
        }
        if (error === null) done(null, socket);
        else done(error, null);
      });
      return;
    }
    tcp.setNoDelay(true);
    tcp.once("error", (error) => done(error, null));
    tcp.once("connect", () => done(null, tcp));
  };
}

/** Makes a thing of a value, and anew only when the value is another one. */
function madeOf<Value, Thing>(value: () => Value, make: (value: Value) => Thing): () => Thing {
  let last: { readonly value: Value; readonly thing: Thing } | undefined;
  return () => {
    const now = value();
    if (last === undefined || last.value !== now) last = { value: now, thing: make(now) };
    return last.thing;
  };
}

function portOf({ port, protocol }: buildConnector.Options): number {
  return port === "" ? (protocol === "https:" ? 443 : 80) : Number(port);
}

/**
 * Collects the answer as its pieces come. undici's own `request` puts a stream, an iterator and an asynchronous context around every
 * body: for answers of a few kilobytes that is a quarter of what a whole reconciliation costs.
 */
function exchange(
  pool: Pool,
  options: Dispatcher.DispatchOptions,
  { atSend, signal, maxBytes }: Terms,
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const chunks: Buffer[] = [];
  let size = 0;
  let head: Omit<Answer, "text"> = { statusCode: 0, headers: {} };
  let abort = (reason: unknown): void => reject(reason);
  const onAbort = () => abort(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  const end = () => signal?.removeEventListener("abort", onAbort);
  pool.dispatch(options, {
    // A turn or more after the request was handed over: once a connection is there and known to be alive.
    onRequestStart: (controller) => {
      signal?.throwIfAborted();
      atSend?.();
      abort = (reason) => controller.abort(errorOf(reason));
    },
    onResponseStart: (_controller, statusCode, headers) => {
      head = { statusCode, headers };
    },
    onResponseData: (controller, chunk) => {
      size += chunk.byteLength;
      if (size > maxBytes) {
        controller.abort(new Error(`the answer is larger than ${maxBytes} bytes`));
      }
      chunks.push(chunk);
    },
    onResponseEnd: () => {
      end();
      resolve({ ...head, text: textOf(chunks) });
    },
    onResponseError: (_controller, error) => {
      end();
      reject(error);
    },
  });
  return promise;
}

function textOf(chunks: readonly Buffer[]): string {
  const [first] = chunks;
  return chunks.length === 1 && first !== undefined
    ? first.toString("utf8")
    : Buffer.concat(chunks).toString("utf8");
}

function errorOf(reason: unknown): Error {
  return reason instanceof Error
    ? reason
    : new Error("the request was given up", { cause: reason });
}
