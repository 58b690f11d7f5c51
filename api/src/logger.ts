import type { FastifyLoggerOptions, FastifyRequest } from "fastify";
import { destination, type LoggerOptions } from "pino";

/** Causes are followed this deep. */
const CAUSES_MAX = 5;

interface LoggedError {
  readonly [field: string]: unknown;
  readonly type: string;
  readonly message: string;
  readonly stack: string;
  readonly cause?: LoggedError;
}

/**
 * The parts of an error that may be written down. Errors of HTTP clients carry the request with its body, so an allow
 * list it is: a body of /api/accounts holds an exchange key.
 */
export function loggedError(error: unknown, depth = 0): LoggedError {
  if (!(error instanceof Error)) return { type: typeof error, message: "", stack: "" };
  const { name, message, stack = "", cause } = error;
  const logged = { type: name, message, stack };
  return cause === undefined || depth >= CAUSES_MAX
    ? logged
    : { ...logged, cause: loggedError(cause, depth + 1) };
}

export interface LogSettings {
  readonly level: string;
  /** Where lines go; standard output when undefined. */
  readonly stream?: { write(line: string): void } | undefined;
}

/**
 * Structured logs of method, path, status and time: never a header, a body or a query. Lines are written while the process works
 * on, one write after the other; at its end, also after an uncaught error, those that wait are written first.
 */
export function loggerOptions({
  level,
  stream,
}: LogSettings): FastifyLoggerOptions & LoggerOptions {
  return {
    level,
    stream: stream ?? destination({ sync: false }),
    base: null,
    serializers: {
      err: (error: unknown) => loggedError(error),
      req: (request: FastifyRequest) => ({
        method: request.method,
        path: request.url.split("?", 1)[0] ?? "",
        address: request.ip,
      }),
    },
  };
}
