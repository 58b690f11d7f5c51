import { jsonField } from "./json.ts";

/** What the API server answered instead of success: the fields of its `Status` object that a caller acts on. */
export class KubernetesError extends Error {
  override readonly name = "KubernetesError";
  /** HTTP status; 0 for an ERROR event without a code. */
  readonly status: number;
  /** Machine-readable: NotFound, AlreadyExists, Conflict, Expired, Forbidden, Invalid, TooManyRequests… */
  readonly reason: string;
  readonly retryAfterSeconds: number | undefined;

  constructor(answer: ErrorAnswer, what: string) {
    super(`${what}: ${answer.message}`);
    this.status = answer.status;
    this.reason = answer.reason;
    this.retryAfterSeconds = answer.retryAfterSeconds;
  }
}

export interface ErrorAnswer {
  readonly status: number;
  readonly reason: string;
  readonly message: string;
  readonly retryAfterSeconds: number | undefined;
}

/** Long enough for an admission message, short enough for a log line. */
const MESSAGE_MAX = 2_000;

/** Reads a `Status` object; whatever else came (a proxy's page, nothing) becomes a message with its beginning. */
export function readErrorAnswer(status: number, body: unknown, retryAfter?: string): ErrorAnswer {
  const details = jsonField(body, "details");
  const text = typeof body === "string" ? body : jsonField(body, "message");
  return {
    status: asNumber(jsonField(body, "code")) ?? status,
    reason: asText(jsonField(body, "reason")) ?? "Unknown",
    message: (asText(text) ?? `HTTP ${status}`).slice(0, MESSAGE_MAX),
    retryAfterSeconds:
      asNumber(jsonField(details, "retryAfterSeconds")) ?? asNumber(Number(retryAfter)),
  };
}

/** How long the server asked to be left alone; 0 when it did not. */
export function retryAfterMs(error: unknown): number {
  return error instanceof KubernetesError ? (error.retryAfterSeconds ?? 0) * 1_000 : 0;
}

export function isNotFound(error: unknown): error is KubernetesError {
  return error instanceof KubernetesError && error.status === 404;
}

export function isAlreadyExists(error: unknown): error is KubernetesError {
  return error instanceof KubernetesError && error.reason === "AlreadyExists";
}

/** A precondition (uid, resourceVersion) no longer holds. */
export function isConflict(error: unknown): error is KubernetesError {
  return error instanceof KubernetesError && error.status === 409 && error.reason === "Conflict";
}

/** The resource version is older than the API server remembers: only a new list helps. */
export function isExpired(error: unknown): error is KubernetesError {
  return error instanceof KubernetesError && error.status === 410;
}

function asText(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function asNumber(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}
