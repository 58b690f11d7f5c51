import type { Operations, Problem } from "./operations.ts";

export type { Operations } from "./operations.ts";

/** `GET /api/bots/{id}`, as the API describes it. */
export type Route = keyof Operations;

export interface ClientOptions {
  /** Where the API is, without a path: `https://bots.example.com`. */
  readonly url: string;
  /** Asked before every request: an access token, or an API token. Undefined for what needs none. */
  readonly token: () => string | undefined | Promise<string | undefined>;
  readonly fetch?: typeof globalThis.fetch;
}

/** What a route may be given; what it must be given, it must be given. */
type Given<R extends Route> = Needed<"path", R> &
  Needed<"query", R> &
  Needed<"headers", R> &
  Body<R>;
type Needed<
  Part extends "path" | "query" | "headers",
  R extends Route,
> = undefined extends Operations[R][Part]
  ? { readonly [Key in Part]?: Operations[R][Part] }
  : { readonly [Key in Part]: Operations[R][Part] };
type Body<R extends Route> = Operations[R]["body"] extends undefined
  ? { readonly body?: undefined }
  : { readonly body: Operations[R]["body"] };

/** The API refused: `problem.code` is stable and says why. */
export class ApiProblem extends Error {
  override readonly name = "ApiProblem";
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(`${problem.code}: ${problem.detail}`);
    this.problem = problem;
  }
}

/**
 * Calls the API with types for every route: `await call("GET /api/bots/{id}", { path: { id } })`.
 * @throws ApiProblem when the API refuses; whatever `fetch` throws when there is no answer
 */
export function createClient({ url, token, fetch = globalThis.fetch }: ClientOptions) {
  return async <R extends Route>(route: R, given: Given<R>): Promise<Operations[R]["answer"]> => {
    const [method = "", path = ""] = route.split(" ", 2);
    const { path: parameters = {}, query = {}, headers = {}, body } = partsOf(given);
    const bearer = await token();
    const answer = await fetch(`${url}${filled(path, parameters)}${queryOf(query)}`, {
      method,
      headers: {
        ...textsOf(headers),
        ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return contentOf(answer);
  };
}

interface Parts {
  readonly path?: object | undefined;
  readonly query?: object | undefined;
  readonly headers?: object | undefined;
  readonly body?: unknown;
}

function partsOf(given: Parts): Parts {
  return given;
}

function filled(path: string, parameters: object): string {
  const texts = textsOf(parameters);
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(texts[name] ?? ""));
}

function queryOf(query: object): string {
  const text = new URLSearchParams(textsOf(query)).toString();
  return text === "" ? "" : `?${text}`;
}

function textsOf(values: object): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, String(value)]),
  );
}

/** Typed by what the API describes: it checks its own answers against the same schemas before it sends them. */
async function contentOf<Content>(answer: Response): Promise<Content> {
  const type = answer.headers.get("content-type") ?? "";
  if (answer.ok) {
    const content: unknown = /json/.test(type)
      ? await answer.json()
      : (await answer.text()) || undefined;
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    return content as Content;
  }
  if (!type.startsWith("application/problem+json")) {
    throw new Error(`${answer.url} answered ${answer.status} and no problem`);
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  throw new ApiProblem((await answer.json()) as Problem);
}
