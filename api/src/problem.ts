import { hasZodFastifySchemaValidationErrors } from "fastify-type-provider-zod";
import { DatabaseError } from "pg";
import { z } from "zod";
import { ApiError, ERRORS, type ErrorCode, type FieldError } from "./errors.ts";

/** The body of every error: RFC 9457, with our stable `code`. */
export const Problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.string(),
    detail: z.string(),
    errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
    requestId: z.string(),
  })
  .meta({
    id: "Problem",
    examples: [
      {
        type: "https://tradingbots.dev/problems/validation_failed",
        title: "The request is not valid",
        status: 422,
        code: "validation_failed",
        detail: "symbols: names a symbol twice",
        errors: [{ path: "symbols", message: "names a symbol twice" }],
        requestId: "9e107d9d-372b-4b68-8f1e-7a2c5d0b3f41",
      },
    ],
  });
export type Problem = z.infer<typeof Problem>;

/** For the `response` of every route. */
export const FAILURE = {
  default: {
    description: "A problem: `code` says which, `detail` what to do.",
    content: { "application/problem+json": { schema: Problem } },
  },
} as const;

/** The body that tells of an error. */
export function problemOf(
  error: ApiError,
  requestId: string,
): Problem & { readonly retryAfterMs?: number } {
  const { status, title } = ERRORS[error.code];
  return {
    type: `https://tradingbots.dev/problems/${error.code}`,
    title,
    status,
    code: error.code,
    detail: error.message,
    ...(error.errors === undefined ? {} : { errors: [...error.errors] }),
    requestId,
    ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
  };
}

/** What Fastify itself refuses, by its error codes. */
const FRAMEWORK_ERRORS: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ["body_too_large", "send at most 1 MB"],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ["unsupported_media_type", "use content-type application/json"],
  FST_ERR_BAD_URL: ["bad_request", "the path is not a valid URL"],
  FST_ERR_MAX_PARAM_LENGTH: ["not_found", "no such object"],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ["bad_request", "content-length is not the body's length"],
};

/** Every thrown thing becomes an answer; what nobody foresaw is `internal_error` and says nothing about itself. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (hasZodFastifySchemaValidationErrors(error)) return validationError(error);
  const [code, detail] = FRAMEWORK_ERRORS[codeOf(error)] ?? [];
  if (code !== undefined && detail !== undefined) return new ApiError(code, detail);
  if (error instanceof DatabaseError && error.code === STATEMENT_TIMEOUT) {
    return new ApiError(
      "query_too_slow",
      "where a range or a bot can be named, ask for less at a time",
      {
        cause: error,
        retryAfterSeconds: 5,
      },
    );
  }
  if (isDatabaseUnavailable(error)) {
    return new ApiError("database_unavailable", "try again in a moment", {
      cause: error,
      retryAfterSeconds: 1,
    });
  }
  return new ApiError("internal_error", "the request id helps us find out what happened", {
    cause: error,
  });
}

interface ValidationFailure {
  readonly validation: readonly { readonly instancePath: string; readonly message?: string }[];
  readonly validationContext?: string | undefined;
}

function validationError(error: ValidationFailure): ApiError {
  // An id that no id could look like is simply not found.
  if (error.validationContext === "params") return new ApiError("not_found", "no such object");
  const whole = error.validationContext === "querystring" ? "query" : "body";
  const errors = error.validation.slice(0, 20).map((issue) => fieldError(issue, whole));
  const exchange = errors.find(({ path }) => path === "exchange");
  const code = exchange === undefined ? "validation_failed" : "exchange_unsupported";
  const { path, message } = exchange ?? errors[0] ?? { path: whole, message: "is invalid" };
  return new ApiError(code, `${path}: ${message}`, { errors });
}

/** `whole` is what the field is in. */
function fieldError(issue: ValidationFailure["validation"][number], whole: string): FieldError {
  const path = issue.instancePath.slice(1).replaceAll("/", ".");
  return { path: path === "" ? whole : path, message: issue.message ?? "is invalid" };
}

/** The database gave a statement up after our limit: it answers, and what was asked of it is too much. */
const STATEMENT_TIMEOUT = "57014";
/** Classes of SQLSTATE that pass by themselves: connection, resources, operator intervention, serialisation. */
const PASSING_SQL_STATES = /^(08|53|57|40)/;
const PASSING_MESSAGES = /timeout|terminated|not queryable|ended/i;

function isDatabaseUnavailable(error: unknown): boolean {
  if (error instanceof DatabaseError) return PASSING_SQL_STATES.test(error.code ?? "");
  if (!(error instanceof Error)) return false;
  // node-postgres has no class for what happens before the server answers.
  return (
    /^(ECONNREFUSED|ECONNRESET|EPIPE|ENOTFOUND|EAI_AGAIN|ETIMEDOUT)$/.test(codeOf(error)) ||
    (/connection|query|timeout/i.test(error.message) && PASSING_MESSAGES.test(error.message))
  );
}

function codeOf(error: unknown): string {
  if (typeof error !== "object" || error === null || !("code" in error)) return "";
  return typeof error.code === "string" ? error.code : "";
}
