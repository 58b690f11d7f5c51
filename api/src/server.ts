import { randomUUID } from "node:crypto";
import {
  type IncomingMessage,
  type RequestListener,
  STATUS_CODES,
  type Server as HttpServer,
  type ServerOptions as ServerOptionsOfNode,
} from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { Socket } from "node:net";
import Fastify, { type FastifyReply, type FastifyRequest, LogController } from "fastify";
import {
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from "fastify-type-provider-zod";
import type { Certificate } from "./certificate.ts";
import { ApiError, invalidField } from "./errors.ts";
import { linesOf, loggerOptions, type LogSettings } from "./logger.ts";
import { problemOf, toApiError } from "./problem.ts";
import { RequestLog } from "./request-log.ts";

/** For a whole request to come, body and all; else whoever sends a byte a minute holds a connection for ever. */
const REQUEST_LIMIT_MS = 30_000;
/** Node looks this often in that time, and of its own accord every 30 s only: the limit would be twice what it says. */
const LOOKS = 6;
const HANDSHAKE_LIMIT_MS = 10_000;
/** A connection on which nothing moves for so long is closed: else whoever asks and does not read has us keep the answers for ever. */
const SILENCE_LIMIT_MS = 60_000;
/** From the wish to end on: whoever has not read their answer by then loses it. A pod has 30 s, and after this sweeps and mails end. */
const ENDING_LIMIT_MS = 15_000;
/** Reading costs a connection and no memory; beyond this, closing it is the better answer. */
const FORGOTTEN_BYTES_MAX = 32 * 1024 * 1024;
const KEEP_ALIVE_MS = 72_000; // longer than the 60 s of common load balancers, so that they close first

/**
 * Connections that wait to be taken. Whoever finds no place asks again after 1, 3, 7, 15, 31 s, and 19,000 who come back at once overran
 * Fastify's 511: a tenth of them was not back after a minute. Linux cuts it to net.core.somaxconn, 4,096 unless somebody set it.
 */
export const BACKLOG = 4_096;

/**
 * On every answer. Answers are data: nothing of them may be run, framed, embedded, guessed at or kept. Two years of HTTPS are what
 * browsers' preload lists ask for. After OWASP's cheat sheet for REST; written out, because a middleware that works them out
 * for each request took a tenth of its time.
 */
const SECURITY_HEADERS = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none';frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "strict-transport-security": `max-age=${2 * 365 * 86_400}; includeSubDomains`,
  "x-content-type-options": "nosniff",
} as const;

export interface ServerOptions {
  readonly log: LogSettings;
  readonly bodyBytesMax: number;
  /** Addresses of proxies whose X-Forwarded-For is believed. */
  readonly trustedProxies?: readonly string[];
  /** For TLS 1.3 in this process; undefined: somebody before it ends TLS. */
  readonly certificate?: Certificate;
  readonly requestLimitMs?: number;
  readonly endingLimitMs?: number;
}

/**
 * An HTTP server without routes and port, as the API and the journal share it: zod in and out, problem+json for every
 * error, request ids, bounded bodies and times.
 */
export function createServer(options: ServerOptions) {
  const { log, bodyBytesMax, trustedProxies, certificate } = options;
  const sink = { lines: linesOf(log), level: log.level };
  const requestLimitMs = options.requestLimitMs ?? REQUEST_LIMIT_MS;
  const connections = {
    ...CONNECTIONS,
    connectionsCheckingInterval: requestLimitMs / LOOKS,
    headersTimeout: requestLimitMs, // Node's own is 60 s, and it takes the longer of the two for the whole request
  };
  const server = Fastify({
    ...(certificate === undefined
      ? {}
      : {
          serverFactory: overTls(certificate, { ...connections, requestTimeout: requestLimitMs }),
        }),
    logger: loggerOptions(log),
    childLoggerFactory: (parent, bindings, level) =>
      new RequestLog({ parent, bindings, options: level }, sink),
    logController: new OneLineARequest(),
    http: connections,
    bodyLimit: bodyBytesMax,
    connectionTimeout: SILENCE_LIMIT_MS,
    requestTimeout: requestLimitMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    genReqId: () => randomUUID(),
    trustProxy: trustedProxies === undefined ? false : [...trustedProxies],
    // HEAD would do the work of GET, a file's too, for an answer without a body.
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 1_400 }, // a passkey is named by its credential id, of up to 1,023 bytes
    frameworkErrors: (thrown, request, reply) => {
      reply.headers({ "x-request-id": request.id, ...SECURITY_HEADERS }); // no hook has seen it
      answerWith(toApiError(thrown), request, reply);
    },
    clientErrorHandler: answerBrokenRequest,
  }).withTypeProvider<ZodTypeProvider>();
  boundTheEnd(server, options.endingLimitMs ?? ENDING_LIMIT_MS);
  const methodsOf = noteRoutes(server);
  server.addHook("onRequest", (request, reply, done) => {
    reply.header("x-request-id", request.id).headers(SECURITY_HEADERS);
    const { headers } = request.raw;
    // A type of a body that is not there: waiting for it would be for ever.
    if (headers["content-type"] !== undefined && !hasBody(request)) delete headers["content-type"];
    if (request.url.includes("%00")) return done(nulIn(request.url));
    // Before the body is looked at: with a path or method that is not ours it does not matter.
    return done(request.is404 ? unknownRoute(request, reply, methodsOf) : undefined);
  });
  server.setValidatorCompiler(validatorCompiler);
  server.setSerializerCompiler(serializerCompiler);
  parseJson(server);
  answerErrors(server);
  return server;
}
export type Server = ReturnType<typeof createServer>;

const CONNECTIONS = {
  // Whoever asks for another protocol (curl asks for HTTP/2) goes on with this one.
  shouldUpgradeCallback: ({ headers }: IncomingMessage): boolean =>
    headers.upgrade?.toLowerCase() === "websocket",
  // No stream for bodies that nobody sends: 5 µs of a small request's 50.
  optimizeEmptyRequests: true,
};

/** TLS 1.3 alone: with it no configuration is a weak one, and who cannot speak it is eight years old. */
function overTls(certificate: Certificate, connections: ServerOptionsOfNode) {
  return (handler: RequestListener): HttpServer => {
    const server = createHttpsServer(
      {
        ...certificate,
        minVersion: "TLSv1.3",
        handshakeTimeout: HANDSHAKE_LIMIT_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        ...connections,
      },
      handler,
    );
    server.setTimeout(SILENCE_LIMIT_MS);
    // First of all who hear of it: words to somebody without TLS would wait for a handshake that never comes.
    server.prependListener("tlsClientError", (_, socket) => socket.destroy());
    return server;
  };
}

/** Whoever reads a byte a minute, of a WebSocket too, must not hold the end up. Node knows of no connection that was upgraded. */
function boundTheEnd(server: Server, limitMs: number): void {
  const connections = new Set<Socket>();
  let timer: NodeJS.Timeout | undefined;
  server.server.on("connection", (connection: Socket) => {
    connections.add(connection);
    connection.once("close", () => connections.delete(connection));
  });
  server.addHook("preClose", async () => {
    timer = setTimeout(() => {
      server.log.warn({ connections: connections.size }, "ending: connections are cut off");
      for (const connection of connections) connection.destroy();
    }, limitMs);
  });
  server.addHook("onClose", async () => clearTimeout(timer));
}

/**
 * JSON only. An empty body is no body: many clients name a content type without sending any. `__proto__` is a name like any other, for the
 * route's schema to refuse or to leave out: zod makes its answers anew and never copies that one.
 */
function parseJson(server: Server): void {
  const parse = server.getDefaultJsonParser("ignore", "ignore");
  server.removeAllContentTypeParsers();
  server.addContentTypeParser<string>(
    ["application/json", "application/merge-patch+json"],
    { parseAs: "string" },
    (request, body, done) => {
      if (body === "") return done(null, undefined);
      return parse(request, withoutNul(body), (error, value: unknown) =>
        error === null
          ? done(null, value)
          : done(new ApiError("malformed_json", "the body cannot be parsed as JSON"), undefined),
      );
    },
  );
}

/** RFC 9112, section 6: a request has a body when one of these says so. */
function hasBody({ headers }: FastifyRequest): boolean {
  return headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined;
}

/** Nothing of ours is named so, and nothing that is looked for can hold it. */
function nulIn(url: string): ApiError {
  const [path = ""] = url.split("?", 1);
  return path.includes("%00")
    ? new ApiError("not_found", "no such object")
    : invalidField("query", "U+0000 has no place in it");
}

/** Postgres' text cannot hold U+0000; in JSON it can only stand as this escape. */
function withoutNul(json: string): string {
  return json.includes(String.raw`\u0000`)
    ? json.replaceAll(/(?<!\\)((?:\\\\)*)\\u0000/g, String.raw`$1\ufffd`)
    : json;
}

function answerErrors(app: Server): void {
  app.setErrorHandler((thrown, request, reply) => {
    const error = toApiError(thrown);
    note(request, error);
    if (error.code === "body_too_large") readToTheEnd(request, reply);
    return answerWith(error, request, reply);
  });
}

function unknownRoute(
  { method, url }: FastifyRequest,
  reply: FastifyReply,
  methodsOf: (path: string) => readonly string[],
): ApiError {
  const [path = ""] = url.split("?", 1);
  const allowed = methodsOf(path);
  if (allowed.length === 0) return new ApiError("not_found", `${method} ${path} is no path`);
  reply.header("allow", allowed.join(", "));
  return new ApiError("method_not_allowed", `use ${allowed.join(" or ")}`);
}

/** Answers a function that tells which methods a path has. One that is written out hides one with a parameter in its place. */
function noteRoutes(app: Server): (path: string) => readonly string[] {
  const routes: { readonly method: string; readonly url: string; readonly pattern: RegExp }[] = [];
  app.addHook("onRoute", ({ method, url }) => {
    const parts = url
      .split("/")
      .map((part) => (part.startsWith(":") ? "[^/]+" : RegExp.escape(part)));
    const pattern = new RegExp(`^${parts.join("/")}$`);
    for (const each of [method].flat()) routes.push({ method: each, url, pattern });
  });
  return (path) => {
    const exact = routes.filter(({ url }) => url === path);
    const found = exact.length > 0 ? exact : routes.filter(({ pattern }) => pattern.test(path));
    return found.map(({ method }) => method);
  };
}

function answerWith(error: ApiError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (error.retryAfterSeconds !== undefined) reply.header("retry-after", error.retryAfterSeconds);
  return reply
    .code(error.status)
    .type("application/problem+json")
    .serializer(JSON.stringify)
    .send(problemOf(error, request.id));
}

/** What is no HTTP never becomes a request. The connection is of no further use: nobody knows where the next one would begin. */
function answerBrokenRequest(thrown: Error & { readonly code?: string }, socket: Socket): void {
  if (thrown.code === "ECONNRESET" || !socket.writable) return void socket.destroy();
  const error = brokenRequest(thrown.code);
  const body = JSON.stringify(problemOf(error, randomUUID()));
  const headers = {
    ...SECURITY_HEADERS,
    "content-type": "application/problem+json",
    "content-length": Buffer.byteLength(body),
    connection: "close",
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const status = `${error.status} ${STATUS_CODES[error.status] ?? ""}`;
  socket.end(`HTTP/1.1 ${status}\r\n${lines.join("")}\r\n${body}`);
}

function brokenRequest(code: string | undefined): ApiError {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") {
    return new ApiError("request_timeout", "send the whole request within 30 s");
  }
  if (code === "HPE_HEADER_OVERFLOW") {
    return new ApiError("headers_too_large", "send at most 16 KB of headers");
  }
  return new ApiError("bad_request", "this is not HTTP/1.1");
}

/** One line when the answer is out tells all that a line before it would: writing them was a fifth of a request's cost. */
class OneLineARequest extends LogController {
  override incomingRequest(): void {}

  override requestCompleted(
    error: Error | null | undefined,
    request: FastifyRequest,
    reply: FastifyReply,
  ): void {
    const { log } = request;
    if (log instanceof RequestLog && (error === null || error === undefined)) {
      log.answered(request, reply);
      return;
    }
    const line = { req: request, status: reply.statusCode, ms: reply.elapsedTime };
    log.error({ ...line, err: error }, "the answer was cut off");
  }
}

/**
 * Fastify closes the connection on a body that is too large, while the client still writes: many clients then see a broken
 * pipe instead of the answer. A body of a bearable size is read and forgotten.
 */
function readToTheEnd(request: FastifyRequest, reply: FastifyReply): void {
  if (!(Number(request.headers["content-length"]) <= FORGOTTEN_BYTES_MAX)) return;
  reply.removeHeader("connection");
  request.raw.resume();
}

/** What is our fault is an error; a dependency that failed is a warning; being busy is normal. */
function note(request: FastifyRequest, error: ApiError): void {
  const { code, status, cause } = error;
  if (status === 500) request.log.error({ err: cause, code }, "request failed");
  else if (status > 500 && cause !== undefined) request.log.warn({ err: cause, code }, "not now");
}
