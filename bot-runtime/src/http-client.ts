import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";

/** An idle connection is dropped before servers and their load balancers do it (60 s and more), which would lose a request. */
const IDLE_MS = 30_000;
const CONNECTIONS_MAX = 8;
/** Bybit's longest answer, every linear contract, has 1.5 MB. */
const ANSWER_MAX_BYTES = 16 * 1_024 * 1_024;

interface HttpCall {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  readonly signal: AbortSignal;
}

interface HttpAnswer {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: () => Promise<string>;
}

export type HttpClient = (url: string, call: HttpCall) => Promise<HttpAnswer>;

/**
 * HTTP with kept connections of its own, in the shape that ccxt asks of a `fetchImplementation`. Node's fetch and ccxt's own
 * undici would cost each bot some 20 MB of resident memory; this costs nothing that a health server has not loaded already.
 *
 * An answer is handed over when it is there to its last byte: ccxt ends its time limit with what it is handed, and a body may
 * stall as well as headers. Until then the signal ends it, with an `AbortError`.
 */
export function createHttpClient(): HttpClient {
  const options = { keepAlive: true, maxSockets: CONNECTIONS_MAX, timeout: IDLE_MS };
  const plain = new HttpAgent(options);
  // Made when it is first needed: TLS is 5 MB of every bot that needs it.
  let secure: HttpsAgent | undefined;
  return (url, { method, headers, body, signal }) =>
    new Promise((resolve, reject) => {
      const isSecure = url.startsWith("https:");
      const send = isSecure ? httpsRequest : httpRequest;
      const agent = isSecure ? (secure ??= new HttpsAgent(options)) : plain;
      const request = send(url, { method, headers, agent, signal }, (response) => {
        readAnswer(response).then(resolve, reject);
      });
      request.once("error", reject);
      request.end(body);
    });
}

async function readAnswer(response: IncomingMessage): Promise<HttpAnswer> {
  const body = await readText(response);
  return {
    status: response.statusCode ?? 0,
    statusText: response.statusMessage ?? "",
    headers: response.headers,
    text: async () => body,
  };
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > ANSWER_MAX_BYTES)
      throw new Error(`an answer of more than ${ANSWER_MAX_BYTES} bytes`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString("utf8");
}
