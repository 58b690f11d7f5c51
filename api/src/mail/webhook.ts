import { type Deliver, MessageRefused } from "./message.ts";

const LIMIT_MS = 10_000;

/**
 * Delivers by POST of the message as JSON: for providers without SMTP. The message's id is the Idempotency-Key.
 * A user and password in the URL are sent as basic authentication.
 */
export function deliverByWebhook(address: string): Deliver {
  const url = new URL(address);
  const { username, password } = url;
  const authorization = username === "" ? {} : { authorization: basic(username, password) };
  [url.username, url.password] = ["", ""]; // fetch takes none in a URL
  return async ({ id, to, subject, text }) => {
    const answer = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": id, ...authorization },
      body: JSON.stringify({ id, to, subject, text }),
      redirect: "error",
      signal: AbortSignal.timeout(LIMIT_MS),
    });
    await answer.body?.cancel();
    if (answer.ok) return;
    const sentence = `while sending by webhook: HTTP ${answer.status}`;
    const isFinal = answer.status >= 400 && answer.status < 500 && !PASSING.has(answer.status);
    throw isFinal ? new MessageRefused(sentence) : new Error(sentence);
  };
}

/** Not about the message: a wrong password of ours, a time-out, too many at once. */
const PASSING = new Set([401, 403, 408, 425, 429]);

function basic(user: string, password: string): string {
  const pair = `${decodeURIComponent(user)}:${decodeURIComponent(password)}`;
  return `Basic ${Buffer.from(pair).toString("base64")}`;
}
