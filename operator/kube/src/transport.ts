import type { ClusterAccess } from "./cluster-access.ts";
import { type Answer, openConnections } from "./connections.ts";
import { KubernetesError, readErrorAnswer } from "./kubernetes-error.ts";
import { linesOf } from "./lines.ts";
import { parseObject } from "./parse-object.ts";
import { createRateLimit, type OnWait, type RateBudget } from "./rate-budget.ts";
import { createSlots } from "./slots.ts";
import { WriteForbiddenError } from "./write-guard.ts";

/**
 * Connections for requests. HTTP/1.1 with 32 kept-alive connections does three times what one HTTP/2 connection does
 * against a real API server (190 against 67 starts a second on two cores).
 */
const REQUEST_CONNECTIONS = 32;
/**
 * Watches must not take a connection from the requests. They share a few by HTTP/2, whose speed is enough for them; where it is not spoken
 * each holds one: two a bucket namespace, and some more. A TLS connection costs 0.25 MB, and a hundred at once block the event loop.
 */
const WATCH_CONNECTIONS = 1_024;
/** A dead one is found within five of these: a minute and a quarter. */
const WATCH_PING_MS = 15_000;
/** The API server itself gives up on a request after 60 s. */
const ANSWER_TIMEOUT_MS = 30_000;
/** A page of 500 pods is 3 MB. */
const BODY_MAX_BYTES = 32 * 1024 * 1024;
/** etcd refuses objects above 1.5 MB. */
const LINE_MAX_BYTES = 4 * 1024 * 1024;

export interface KubeRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string;
  /** Ends the request, whether it waits for a connection or for its answer. */
  readonly signal?: AbortSignal;
  /** Asked when the request's turn has come, and again at the moment when its bytes go out: a throw keeps it back. */
  readonly admit?: () => void;
}

/** What a finished request looked like; `status` 0 when no answer came. */
export interface RequestReport {
  readonly method: KubeRequest["method"];
  readonly path: string;
  readonly status: number;
  readonly durationMs: number;
}

export interface TransportOptions {
  readonly onRequest?: (report: RequestReport) => void;
  readonly userAgent?: string;
  /** Of all requests but watches; without one, what the API server bears. */
  readonly budget?: RateBudget;
  readonly onWait?: OnWait;
  /** How often a connection of watches is asked for a sign of life. After four silent answers it is opened anew. */
  readonly watchPingMs?: number;
}

/** HTTP to one API server: JSON in, JSON or lines of JSON out; errors are `KubernetesError` or the socket's own. */
export function createTransport(access: ClusterAccess, options: TransportOptions = {}) {
  const requests = openConnections(access, { limit: REQUEST_CONNECTIONS });
  const watches = openConnections(access, {
    limit: WATCH_CONNECTIONS,
    shared: { pingMs: options.watchPingMs ?? WATCH_PING_MS },
  });
  // Requests wait here and not for a connection, so that those whose time is over cost no connection.
  const slots = createSlots(REQUEST_CONNECTIONS);
  const withinBudget =
    options.budget && createRateLimit(options.budget, { onWait: options.onWait });

  /** Reports the request, whatever comes of it. @throws Error naming the request when there was no answer */
  async function told<T extends { readonly statusCode: number }>(
    { method, path }: KubeRequest,
    answering: Promise<T>,
  ): Promise<T> {
    const startedAt = performance.now();
    const report = (status: number) =>
      options.onRequest?.({ method, path, status, durationMs: performance.now() - startedAt });
    try {
      const answer = await answering;
      report(answer.statusCode);
      return answer;
    } catch (cause) {
      if (cause instanceof WriteForbiddenError) throw cause; // nothing was sent
      report(0);
      throw new Error(`${method} ${path} got no answer`, { cause });
    }
  }

  function dispatchOptions(request: KubeRequest) {
    return {
      method: request.method,
      path: request.path + queryString(request.query),
      headers: headersOf(request, access.token(), options.userAgent),
      body: request.body === undefined ? null : JSON.stringify(request.body),
      headersTimeout: ANSWER_TIMEOUT_MS,
      reset: false, // or a DELETE would cost its connection
    };
  }

  /** The answer as it came. @throws KubernetesError for an answer above 299; Error when none came; what `admit` throws. */
  async function text(request: KubeRequest): Promise<string> {
    await withinBudget?.(request.signal);
    await slots.acquire(request.signal);
    try {
      request.admit?.();
      const { signal, admit } = request;
      const sent = { ...dispatchOptions(request), bodyTimeout: ANSWER_TIMEOUT_MS };
      const terms = { atSend: admit, signal, maxBytes: BODY_MAX_BYTES };
      const answer = await told(request, requests.exchange(sent, terms));
      if (answer.statusCode >= 300) throw refusal(request, answer);
      return answer.text;
    } finally {
      slots.release();
    }
  }

  /** The answer, parsed. @throws what `text` throws */
  async function json(request: KubeRequest): Promise<unknown> {
    return parsed(await text(request));
  }

  /** The parsed lines of an answer that never ends by itself; ends or throws with its connection. */
  async function* lines(request: KubeRequest): AsyncGenerator<unknown, void, undefined> {
    // Silence is judged by the caller, who knows how often a line must come.
    const sent = { ...dispatchOptions(request), bodyTimeout: 0, signal: request.signal ?? null };
    const answer = await told(request, watches.open(sent));
    if (answer.statusCode >= 300) {
      throw refusal(request, { ...answer, text: await readBounded(answer.body) });
    }
    const terms = { maxBytes: LINE_MAX_BYTES, of: request.path };
    for await (const line of linesOf(answer.body, terms)) yield parseObject(line);
  }

  async function close(): Promise<void> {
    await Promise.all([requests.destroy(), watches.destroy()]);
  }

  return { json, text, lines, resetRequests: () => requests.resetAll(), close };
}
export type Transport = ReturnType<typeof createTransport>;

function refusal(
  { method, path }: KubeRequest,
  { statusCode, headers, text }: Answer,
): KubernetesError {
  const retryAfter = headers["retry-after"];
  const asked = typeof retryAfter === "string" ? retryAfter : undefined;
  return new KubernetesError(readErrorAnswer(statusCode, parsed(text), asked), `${method} ${path}`);
}

function headersOf(request: KubeRequest, token: string | undefined, userAgent = "tradingbots") {
  return {
    accept: "application/json, application/jwk-set+json;q=0.9", // the token keys' own media type
    "user-agent": userAgent,
    ...(request.body === undefined
      ? {}
      : { "content-type": request.contentType ?? "application/json" }),
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
}

function queryString(query: KubeRequest["query"] = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) search.set(name, value);
  }
  return search.size === 0 ? "" : `?${search.toString()}`;
}

async function readBounded(body: AsyncIterable<unknown>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    if (!(chunk instanceof Uint8Array)) throw new Error("expected bytes");
    size += chunk.byteLength;
    if (size > BODY_MAX_BYTES) throw new Error(`the answer is larger than ${BODY_MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size).toString("utf8");
}

/** The text itself when it is no JSON: what a proxy in between says is worth showing. */
function parsed(text: string): unknown {
  try {
    return parseObject(text);
  } catch {
    return text;
  }
}
