import { z } from "zod";
import { createClient, type Operations } from "../../api/src/client/client.ts";

/** An answer of the REST API, whatever its status. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

interface Call {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

interface User {
  readonly email: string;
  readonly password: string;
}

export type NewBot = Operations["POST /api/bots"]["body"];
export type Bot = Operations["GET /api/bots/{id}"]["answer"];
export type Trade = Operations["GET /api/trades"]["answer"]["items"][number];

/** What is told as it happens; `missed` has no data. */
const LiveEvent = z.object({ kind: z.string(), data: z.unknown() });
export type LiveEvent = z.infer<typeof LiveEvent>;

const TIMEOUT_MS = 20_000;

/** What a user of the REST API does, over real HTTP; the demo and the end-to-end tests share it. */
export class RestClient {
  readonly #url: string;
  readonly #token: string | undefined;
  readonly #ask: ReturnType<typeof createClient>;
  readonly userId: string;

  private constructor(url: string, session?: { readonly token: string; readonly userId: string }) {
    this.#url = url;
    this.#token = session?.token;
    this.#ask = createClient({ url, token: () => session?.token, fetch: fetchInTime });
    this.userId = session?.userId ?? "";
  }

  static anonymous(url: string): RestClient {
    return new RestClient(url);
  }

  /** Registers a user. */
  static register(url: string, user: User): Promise<RestClient> {
    return RestClient.#enter(url, "POST /api/auth/register", user);
  }

  static logIn(url: string, user: User): Promise<RestClient> {
    return RestClient.#enter(url, "POST /api/auth/login", user);
  }

  static async #enter(
    url: string,
    door: "POST /api/auth/register" | "POST /api/auth/login",
    user: User,
  ): Promise<RestClient> {
    const session = await new RestClient(url).#ask(door, { body: user });
    return new RestClient(url, { token: session.accessToken, userId: session.user.id });
  }

  /** One request, typed or not; an answer of any status is returned, only a broken connection throws. */
  async call({ method, path, body, headers }: Call): Promise<Answer> {
    const response = await fetchInTime(this.#url + path, {
      method,
      headers: {
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }),
        ...headers,
      },
      ...(body === undefined
        ? {}
        : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: parseJson(text) };
  }

  connectAccount(credentials: { apiKey: string; apiSecret: string }, name = "main") {
    const body = { exchange: "bybit", name, testnet: true, credentials } as const;
    return this.#ask("POST /api/accounts", { body });
  }

  account(id: string) {
    return this.#ask("GET /api/accounts/{id}", { path: { id } });
  }

  createBot(body: NewBot): Promise<Bot> {
    return this.#ask("POST /api/bots", { body });
  }

  bot(id: string): Promise<Bot> {
    return this.#ask("GET /api/bots/{id}", { path: { id } });
  }

  patchBot(id: string, body: Operations["PATCH /api/bots/{id}"]["body"]): Promise<Bot> {
    return this.#ask("PATCH /api/bots/{id}", { path: { id }, body });
  }

  command(id: string, command: "start" | "pause" | "stop"): Promise<Bot> {
    return this.#ask(`POST /api/bots/{id}/${command}`, { path: { id } });
  }

  /** Opens a position by hand. */
  order(id: string, body: Operations["POST /api/bots/{id}/orders"]["body"]) {
    return this.#ask("POST /api/bots/{id}/orders", { path: { id }, body });
  }

  closePosition(id: string, symbol: string) {
    return this.#ask("POST /api/bots/{id}/positions/close", { path: { id }, body: { symbol } });
  }

  /** Server-sent events from the moment that this resolves, until the signal. */
  async listen(signal: AbortSignal): Promise<AsyncGenerator<LiveEvent, void>> {
    const headers = { authorization: `Bearer ${this.#token ?? ""}` };
    const { ok, status, body } = await fetch(`${this.#url}/api/events`, { headers, signal });
    if (!ok || body === null) throw new Error(`listening was answered with ${status}`);
    return eventsOf(body.pipeThrough(new TextDecoderStream()));
  }

  /** Every trade of the bot, page by page, oldest first. */
  async trades(botId: string): Promise<readonly Trade[]> {
    const trades: Trade[] = [];
    let cursor: string | null | undefined;
    while (cursor !== null) {
      const query = { botId, limit: 200, ...(cursor === undefined ? {} : { cursor }) };
      const page: Operations["GET /api/trades"]["answer"] = await this.#ask("GET /api/trades", {
        query,
      });
      trades.push(...page.items);
      cursor = page.next;
    }
    return trades.toSorted((a, b) => a.openedAt.localeCompare(b.openedAt));
  }
}

const fetchInTime: typeof fetch = (input, init) =>
  fetch(input, { ...init, signal: AbortSignal.timeout(TIMEOUT_MS) });

async function* eventsOf(texts: AsyncIterable<string>): AsyncGenerator<LiveEvent, void> {
  let rest = "";
  for await (const text of texts) {
    const messages = (rest + text).split("\n\n");
    rest = messages.pop() ?? "";
    for (const message of messages) {
      const data = /^data: (.+)$/m.exec(message)?.[1];
      if (data !== undefined) yield LiveEvent.parse(JSON.parse(data));
    }
  }
}

function parseJson(text: string): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
