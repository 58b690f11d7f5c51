import { randomUUID } from "node:crypto";
import helmet from "@fastify/helmet";
import Fastify, { type FastifyReply, type FastifyRequest } from "fastify";
import {
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from "fastify-type-provider-zod";
import { ApiError } from "./errors.ts";
import { loggerOptions, type LogSettings } from "./logger.ts";
import { problemOf, toApiError } from "./problem.ts";

const REQUEST_LIMIT_MS = 30_000;
/** Reading costs a connection and no memory; beyond this, closing it is the better answer. */
const FORGOTTEN_BYTES_MAX = 32 * 1024 * 1024;
const KEEP_ALIVE_MS = 72_000; // longer than the 60 s of common load balancers, so that they close first

const HSTS_SECONDS = 2 * 365 * 86_400; // what browsers' preload lists ask for

export interface ServerOptions {
  readonly log: LogSettings;
  readonly bodyBytesMax: number;
  /** Addresses of proxies whose X-Forwarded-For is believed. */
  readonly trustedProxies?: readonly string[];
}

/**
 * An HTTP server without routes and port, as the API and the journal share it: zod in and out, problem+json for every
 * error, request ids, bounded bodies and times.
 */
export function createServer({ log, bodyBytesMax, trustedProxies }: ServerOptions) {
  const server = Fastify({
    logger: loggerOptions(log),
    bodyLimit: bodyBytesMax,
    requestTimeout: REQUEST_LIMIT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    genReqId: () => randomUUID(),
    trustProxy: trustedProxies === undefined ? false : [...trustedProxies],
    // HEAD would do the work of GET, a file's too, for an answer without a body.
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 128 },
  }).withTypeProvider<ZodTypeProvider>();
  // Answers are data: nothing of them may be run, framed or embedded anywhere. The rest is helmet's defaults.
  void server.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
    },
    strictTransportSecurity: { maxAge: HSTS_SECONDS, includeSubDomains: true },
  });
  server.setValidatorCompiler(validatorCompiler);
  server.setSerializerCompiler(serializerCompiler);
  parseJson(server);
  answerErrors(server);
  return server;
}
export type Server = ReturnType<typeof createServer>;

/** JSON only. An empty body is no body: many clients name a content type without sending any. */
function parseJson(server: Server): void {
  const parse = server.getDefaultJsonParser("error", "error");
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

/** Postgres' text cannot hold U+0000; in JSON it can only stand as this escape. */
function withoutNul(json: string): string {
  return json.includes(String.raw`\u0000`)
    ? json.replaceAll(/(?<!\\)((?:\\\\)*)\\u0000/g, String.raw`$1\ufffd`)
    : json;
}

function answerErrors(app: Server): void {
  app.setNotFoundHandler((request) => {
    throw new ApiError("not_found", `${request.method} ${request.url.split("?", 1)[0]} is no path`);
  });
  app.setErrorHandler((thrown, request, reply) => {
    const error = toApiError(thrown);
    note(request, error);
    if (error.code === "body_too_large") readToTheEnd(request, reply);
    if (error.retryAfterSeconds !== undefined) reply.header("retry-after", error.retryAfterSeconds);
    return reply
      .code(error.status)
      .type("application/problem+json")
      .serializer(JSON.stringify)
      .send(problemOf(error, request.id));
  });
  app.addHook("onSend", async (request, reply) => {
    reply.header("x-request-id", request.id);
    if (!reply.hasHeader("cache-control")) reply.header("cache-control", "no-store");
  });
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
