import { z } from "zod";
import type { HttpClient } from "../http-client.ts";

/** One call may take this long: an entry waits for it, and a stale signal is worth nothing. */
const CALL_TIMEOUT_MS = 3_000;

export type JournalAnswer<Body> =
  | { readonly kind: "answered"; readonly body: Body }
  /** The journal understood and said no: nothing was stored. */
  | { readonly kind: "refused"; readonly code: string; readonly message: string }
  /** No usable answer: it may or may not have stored something. */
  | { readonly kind: "unavailable"; readonly message: string };

export interface JournalHttp {
  readonly url: string;
  readonly send: HttpClient;
  /** Read again for every call: the kubelet rotates the token. */
  readonly readToken: () => Promise<string>;
}

const Problem = z.object({ code: z.string().optional(), detail: z.string().optional() });

export async function postJournal<Answer extends z.ZodType>(
  http: JournalHttp,
  call: { readonly path: string; readonly body: unknown; readonly answer: Answer },
): Promise<JournalAnswer<z.infer<Answer>>> {
  try {
    const token = await http.readToken();
    const text = JSON.stringify(call.body);
    const response = await http.send(new URL(call.path, http.url).href, {
      method: "POST",
      headers: {
        authorization: `Bearer ${token}`,
        "content-type": "application/json",
        "content-length": `${Buffer.byteLength(text)}`,
      },
      body: text,
      signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
    });
    const body: unknown = JSON.parse(await response.text());
    if (response.status < 300) return { kind: "answered", body: call.answer.parse(body) };
    const problem = Problem.safeParse(body).data ?? {};
    const code = problem.code ?? `http_${response.status}`;
    const message = problem.detail ?? `the journal answered ${response.status}`;
    return response.status < 500 && response.status !== 408 && response.status !== 429
      ? { kind: "refused", code, message }
      : { kind: "unavailable", message: `${message} (${code})` };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { kind: "unavailable", message: `${call.path}: ${message}` };
  }
}
