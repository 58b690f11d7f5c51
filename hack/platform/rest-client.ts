import { z } from "zod";

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

const TIMEOUT_MS = 20_000;

const Session = z.looseObject({
  user: z.looseObject({ id: z.string(), email: z.string() }),
  accessToken: z.string(),
});
const Account = z.looseObject({
  id: z.string(),
  credentialsVersion: z.number(),
  verification: z.looseObject({ state: z.string(), reason: z.string().nullish() }),
});
const Condition = z.looseObject({
  type: z.string(),
  status: z.string(),
  reason: z.string(),
  message: z.string(),
  observedGeneration: z.number().optional(),
});
const Bot = z.looseObject({
  id: z.string(),
  state: z.string(),
  status: z.looseObject({
    ready: z.boolean(),
    reason: z.string().nullish(),
    message: z.string().nullish(),
    conditions: z.array(Condition),
    position: z.string().nullish(),
  }),
});
export type Bot = z.infer<typeof Bot>;
const Trade = z.object({
  id: z.string(),
  botId: z.string(),
  symbol: z.string(),
  side: z.string(),
  quantity: z.string(),
  entryPrice: z.string(),
  exitPrice: z.string().nullable(),
  pnl: z.string().nullable(),
  fees: z.string(),
  openedAt: z.string(),
  closedAt: z.string().nullable(),
  reason: z.string().nullable(),
});
export type Trade = z.infer<typeof Trade>;
const TradePage = z.object({ items: z.array(Trade), next: z.string().nullable() });

/** What a user of the REST API does, over real HTTP; the demo and the end-to-end tests share it. */
export class RestClient {
  readonly #url: string;
  readonly #token: string | undefined;
  readonly userId: string;

  private constructor(url: string, session?: { readonly token: string; readonly userId: string }) {
    this.#url = url;
    this.#token = session?.token;
    this.userId = session?.userId ?? "";
  }

  static anonymous(url: string): RestClient {
    return new RestClient(url);
  }

  /** Registers a user. */
  static register(url: string, user: User): Promise<RestClient> {
    return RestClient.#enter(url, "register", user);
  }

  static logIn(url: string, user: User): Promise<RestClient> {
    return RestClient.#enter(url, "login", user);
  }

  static async #enter(url: string, door: "register" | "login", user: User): Promise<RestClient> {
    const anonymous = new RestClient(url);
    const path = `/api/auth/${door}`;
    const answer = await anonymous.call({ method: "POST", path, body: user });
    const session = Session.parse(expectSuccess(answer, door));
    return new RestClient(url, { token: session.accessToken, userId: session.user.id });
  }

  /** One request; an answer of any status is returned, only a broken connection throws. */
  async call({ method, path, body, headers }: Call): Promise<Answer> {
    const response = await fetch(this.#url + path, {
      method,
      headers: {
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }),
        ...headers,
      },
      ...(body === undefined
        ? {}
        : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: parseJson(text) };
  }

  async connectAccount(credentials: { apiKey: string; apiSecret: string }, name = "main") {
    const answer = await this.call({
      method: "POST",
      path: "/api/accounts",
      body: { exchange: "bybit", name, testnet: true, credentials },
    });
    return Account.parse(expectSuccess(answer, "connect an exchange account"));
  }

  async account(id: string) {
    const answer = await this.call({ method: "GET", path: `/api/accounts/${id}` });
    return Account.parse(expectSuccess(answer, "read the account"));
  }

  async createBot(bot: Readonly<Record<string, unknown>>): Promise<Bot> {
    const answer = await this.call({ method: "POST", path: "/api/bots", body: bot });
    return Bot.parse(expectSuccess(answer, "create a bot"));
  }

  async bot(id: string): Promise<Bot> {
    const answer = await this.call({ method: "GET", path: `/api/bots/${id}` });
    return Bot.parse(expectSuccess(answer, "read the bot"));
  }

  async patchBot(id: string, patch: Readonly<Record<string, unknown>>): Promise<Bot> {
    const answer = await this.call({ method: "PATCH", path: `/api/bots/${id}`, body: patch });
    return Bot.parse(expectSuccess(answer, "change the bot"));
  }

  /** `start`, `pause` or `stop`. */
  async command(id: string, command: "start" | "pause" | "stop"): Promise<Bot> {
    const answer = await this.call({ method: "POST", path: `/api/bots/${id}/${command}` });
    return Bot.parse(expectSuccess(answer, `${command} the bot`));
  }

  /** Every trade of the bot, page by page, oldest first. */
  async trades(botId: string): Promise<readonly Trade[]> {
    const trades: Trade[] = [];
    let cursor: string | null = "";
    while (cursor !== null) {
      const query = new URLSearchParams({ botId, limit: "200" });
      if (cursor !== "") query.set("cursor", cursor);
      const answer = await this.call({ method: "GET", path: `/api/trades?${query.toString()}` });
      const page = TradePage.parse(expectSuccess(answer, "list trades"));
      trades.push(...page.items);
      cursor = page.next;
    }
    return trades.toSorted((a, b) => a.openedAt.localeCompare(b.openedAt));
  }
}

function expectSuccess(answer: Answer, what: string): unknown {
  if (answer.status >= 200 && answer.status < 300) return answer.body;
  throw new Error(`could not ${what}: ${answer.status} ${JSON.stringify(answer.body)}`);
}

function parseJson(text: string): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
