import * as z from "zod";
import type { Clock } from "../clock.ts";
import type { HttpClient } from "../http-client.ts";

/** One call may take this long: an entry waits for it, and a stale signal is worth nothing. */
const CALL_TIMEOUT_MS = 3_000;

export type JournalAnswer<Body> =
  | { readonly kind: "answered"; readonly body: Body }
  /** The journal understood and said no: nothing was stored. */
  | {
      readonly kind: "refused";
      readonly code: string;
      readonly message: string;
      readonly retryAfterMs?: number | undefined;
    }
  /** No usable answer: it may or may not have stored something. */
  | { readonly kind: "unavailable"; readonly message: string };

export interface JournalHttp {
  readonly url: string;
  readonly send: HttpClient;
  /** Read again for every call: the kubelet rotates the token. */
  readonly readToken: () => Promise<string>;
  readonly clock: Pick<Clock, "after">;
}

const Problem = z.object({
  code: z.string().optional(),
  detail: z.string().optional(),
  retryAfterMs: z.int().min(0).optional(),
});

export async function postJournal<Answer extends z.ZodType>(
  http: JournalHttp,
  call: { readonly path: string; readonly body: unknown; readonly answer: Answer },
): Promise<JournalAnswer<z.infer<Answer>>> {
  try {
    const { status, body } = await inTime(http.clock, (signal) => post(http, call, signal));
    if (status < 300) return { kind: "answered", body: call.answer.parse(body) };
    const problem = Problem.safeParse(body).data ?? {};
    const code = problem.code ?? `http_${status}`;
    const message = problem.detail ?? `the journal answered ${status}`;
    return status < 500 && status !== 408 && status !== 429
      ? { kind: "refused", code, message, retryAfterMs: problem.retryAfterMs }
      : { kind: "unavailable", message: `${message} (${code})` };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { kind: "unavailable", message: `${call.path}: ${message}` };
  }
}

async function post(
  http: JournalHttp,
  { path, body }: { readonly path: string; readonly body: unknown },
  signal: AbortSignal,
): Promise<{ status: number; body: unknown }> {
  const token = await http.readToken();
  const text = JSON.stringify(body);
  const response = await http.send(`${http.url.replace(/\/$/, "")}${path}`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
      "content-length": `${Buffer.byteLength(text)}`,
    },
    body: text,
    signal,
  });
  return { status: response.status, body: JSON.parse(await response.text()) };
}

/** Gives up after the limit by the bot's own clock, also on work that does not hear the signal. */
async function inTime<T>(
  clock: Pick<Clock, "after">,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController();
  const limit = Promise.withResolvers<never>();
  const stop = clock.after(CALL_TIMEOUT_MS, () => {
    limit.reject(new Error(`no answer within ${CALL_TIMEOUT_MS} ms`));
    late.abort();
  });
  try {
    return await Promise.race([work(late.signal), limit.promise]);
  } finally {
    stop();
  }
}
