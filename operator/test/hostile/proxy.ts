import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { ClusterAccess } from "@tradingbots/kube";
import { Pool } from "undici";
import type { Faults, LineFault, RequestFault } from "./faults.ts";
import { createHistory, type History, type Recorded } from "./history.ts";

export interface HostileProxy {
  readonly url: string;
  /** Requests that change something, as they came from the operator. */
  readonly writes: readonly string[];
  /** Ends every watch with the news that its version is too old, so that everything is read again. */
  expireWatches(): void;
  close(): Promise<void>;
}

interface ProxyOptions {
  readonly upstream: Pool;
  readonly faults: Faults;
  /** Lists and watches of all namespaces are narrowed to this one and its class, so that runs side by side do not see each other. */
  readonly namespace: string;
}

/** A pool that reaches the real API server; many proxies share it. */
export function connectUpstream(access: ClusterAccess): Pool {
  return new Pool(access.server, {
    allowH2: false,
    connections: 512,
    bodyTimeout: 0,
    connect: { ca: access.ca() ?? "", ...access.clientCertificate },
  });
}

/** Stands in front of the real API server, speaks plain HTTP, and does to each request what the seed says. */
export async function startHostileProxy(options: ProxyOptions): Promise<HostileProxy> {
  const writes: string[] = [];
  const watches = new Set<Watch>();
  const world: World = { ...options, writes, watches, history: createHistory() };
  const server = createServer((request, response) => {
    response.on("error", () => undefined);
    void answer(world, request, response).catch(() => response.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the proxy has no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    writes,
    expireWatches: () => {
      for (const watch of watches) watch.expire();
    },
    close: async () => {
      for (const watch of watches) watch.stop();
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

interface Watch {
  expire(): void;
  stop(): void;
}

interface World extends ProxyOptions {
  readonly writes: string[];
  readonly watches: Set<Watch>;
  readonly history: History;
}

/** A request as it goes on to the API server. */
interface Forward {
  readonly method: string;
  readonly url: URL;
  readonly headers: Record<string, string>;
  readonly body: Buffer;
  /** Method and resource: what faults are drawn by. */
  readonly kind: string;
}

async function answer(
  world: World,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const forward = await read(world, request);
  if (forward.method !== "GET") world.writes.push(`${forward.method} ${forward.url.pathname}`);
  if (forward.url.searchParams.has("watch")) await answerWatch(world, forward, response);
  else if (forward.url.searchParams.has("limit")) await answerList(world, forward, response);
  else await answerOne(world, forward, response);
}

async function read({ namespace }: World, request: IncomingMessage): Promise<Forward> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) if (chunk instanceof Buffer) chunks.push(chunk);
  const url = new URL(request.url ?? "/", "http://proxy");
  url.pathname = url.pathname.replace(
    /^(\/apis\/[^/]+\/[^/]+)\/(tradingbots|exchangeaccounts)$/,
    `$1/namespaces/${namespace}/$2`,
  );
  if (url.pathname.endsWith("/botclasses")) {
    url.searchParams.set("fieldSelector", `metadata.name=${namespace}`);
  }
  const { accept = "application/json", "content-type": contentType } = request.headers;
  const plural = url.pathname.replace(/^.*\/namespaces\/[^/]+\//, "").split("/");
  return {
    method: request.method ?? "GET",
    url,
    headers: { accept, ...(contentType === undefined ? {} : { "content-type": contentType }) },
    body: Buffer.concat(chunks),
    kind: `${request.method} ${plural[0]} ${plural[2] ?? ""}`,
  };
}

const METHODS = ["POST", "PUT", "PATCH", "DELETE"] as const;

function send({ upstream }: World, { method, url, headers, body }: Forward) {
  return upstream.request({
    method: METHODS.find((known) => known === method) ?? "GET",
    path: url.pathname + url.search,
    headers,
    body: body.length === 0 ? null : body,
  });
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

async function fetchAnswer(world: World, forward: Forward): Promise<Answer> {
  const { statusCode, body } = await send(world, forward);
  return { status: statusCode, text: await body.text() };
}

async function answerOne(world: World, forward: Forward, response: ServerResponse): Promise<void> {
  const fault = world.faults.request(forward.kind);
  if (fault === undefined) return reply(response, await fetchAnswer(world, forward));
  await ACTS[fault](world, forward, response);
}

type Act = (world: World, forward: Forward, response: ServerResponse) => Promise<void>;

const ACTS: Readonly<Record<RequestFault, Act>> = {
  "reset before it arrives": async (_world, _forward, response) => reset(response),
  "reset after it was done": async (world, forward, response) => {
    await fetchAnswer(world, forward);
    reset(response);
  },
  "429": async (_world, _forward, response) => reply(response, status(429, "TooManyRequests")),
  "500": async (_world, _forward, response) => reply(response, status(500, "InternalError")),
  "504 although it was done": async (world, forward, response) => {
    await fetchAnswer(world, forward);
    reply(response, status(504, "Timeout"));
  },
  "truncated JSON": async (world, forward, response) => {
    const whole = await fetchAnswer(world, forward);
    reply(response, { ...whole, text: whole.text.slice(0, whole.text.length / 2) });
  },
  "half an answer and a reset": async (world, forward, response) => {
    const { status: code, text } = await fetchAnswer(world, forward);
    response.writeHead(code, { "content-length": Buffer.byteLength(text) });
    response.write(text.slice(0, text.length / 2), () => reset(response));
  },
  "late to arrive": async (world, forward, response) => {
    await sleep(world.faults.delayMs(forward.kind));
    reply(response, await fetchAnswer(world, forward));
  },
  "late answer": async (world, forward, response) => {
    const whole = await fetchAnswer(world, forward);
    await sleep(world.faults.delayMs(forward.kind));
    reply(response, whole);
  },
  "sent twice": async (world, forward, response) => {
    await fetchAnswer(world, forward);
    reply(response, await fetchAnswer(world, forward));
  },
};

async function answerList(world: World, forward: Forward, response: ServerResponse) {
  const { pathname } = forward.url;
  const fault = world.faults.opening(forward.kind);
  if (fault === "stale state") {
    const before = world.history.list(pathname);
    if (before !== undefined) return reply(response, { status: 200, text: before });
  } else if (fault !== undefined && fault !== "history again") {
    return refuse(response, fault);
  }
  const fresh = await fetchAnswer(world, forward);
  if (fresh.status === 200) world.history.recordList(pathname, fresh.text);
  reply(response, fresh);
}

function refuse(
  response: ServerResponse,
  fault: "410" | "429" | "500" | "reset before it arrives",
) {
  if (fault === "reset before it arrives") reset(response);
  else if (fault === "410") reply(response, status(410, "Expired"));
  else
    reply(response, status(Number(fault), fault === "429" ? "TooManyRequests" : "InternalError"));
}

async function answerWatch(world: World, forward: Forward, response: ServerResponse) {
  const { faults, history } = world;
  const { searchParams, pathname } = forward.url;
  const isInitial = searchParams.has("sendInitialEvents");
  if (isInitial && faults.refusesStreams) return reply(response, status(422, "Invalid"));
  const fault = faults.opening(`watch ${forward.kind}`);
  const recorded = history.stream(pathname);
  if (fault === "stale state" && isInitial && recorded !== undefined) {
    return stream(world, goOnFrom(forward, recorded.version), { response, before: recorded.lines });
  }
  if (fault === "history again" && !isInitial && recorded !== undefined) {
    return stream(world, goOnFrom(forward, recorded.version), { response });
  }
  if (fault !== undefined && fault !== "stale state" && fault !== "history again") {
    if (fault !== "410" || !isInitial) return refuse(response, fault);
  }
  await stream(world, forward, {
    response,
    ...(isInitial ? { record: history.recorder(pathname) } : {}),
  });
}

/** The same watch from another version on. */
function goOnFrom(forward: Forward, version: string): Forward {
  const url = new URL(forward.url);
  for (const name of ["sendInitialEvents", "resourceVersionMatch"]) url.searchParams.delete(name);
  url.searchParams.set("resourceVersion", version);
  return { ...forward, url };
}

interface Stream {
  readonly response: ServerResponse;
  /** Lines of an earlier time that are told first. */
  readonly before?: Recorded["lines"];
  readonly record?: (line: string) => void;
}

async function stream(world: World, forward: Forward, { response, before, record }: Stream) {
  const { statusCode, body } = await send(world, forward);
  if (statusCode !== 200) return reply(response, { status: statusCode, text: await body.text() });
  response.writeHead(200, { "content-type": "application/json" });
  response.flushHeaders();
  const watch: Watch = {
    expire: () => void response.end(`${expiredEvent}\n`),
    stop: () => void body.destroy(),
  };
  world.watches.add(watch);
  response.once("close", () => watch.stop());
  body.on("error", () => undefined);
  const told: string[] = [];
  try {
    for (const line of before ?? []) response.write(`${line}\n`);
    for await (const line of linesOf(body)) {
      record?.(line);
      if (!(await tell(world, { response, told, kind: forward.kind }, line))) return;
    }
    response.end();
  } catch {
    reset(response);
  } finally {
    world.watches.delete(watch);
    body.destroy();
  }
}

interface Telling {
  readonly response: ServerResponse;
  readonly told: string[];
  readonly kind: string;
}

/** False when the stream ends with this line. */
async function tell(world: World, telling: Telling, line: string): Promise<boolean> {
  const { response, told, kind } = telling;
  const fault = world.faults.line(kind);
  const act = fault === undefined ? undefined : LINE_ACTS[fault];
  const goesOn = (await act?.({ world, ...telling }, line)) ?? true;
  if (!goesOn) return false;
  response.write(`${line}\n`);
  told.push(line);
  return true;
}

type LineAct = (telling: Telling & { readonly world: World }, line: string) => Promise<boolean>;

const expiredEvent = JSON.stringify({ type: "ERROR", object: statusObject(410, "Expired") });

const LINE_ACTS: Readonly<Record<LineFault, LineAct>> = {
  reset: async ({ response }) => {
    reset(response);
    return false;
  },
  closed: async ({ response }) => {
    response.end();
    return false;
  },
  "truncated line": async ({ response }, line) => {
    response.end(line.slice(0, line.length / 2));
    return false;
  },
  garbage: async ({ response }) => {
    response.end('{"type":"ADDED","object":\n');
    return false;
  },
  "410 in the stream": async ({ response }) => {
    response.end(`${expiredEvent}\n`);
    return false;
  },
  // Until the client gives up: nobody closes anything.
  stalled: async ({ response }) => {
    await new Promise((resolve) => response.once("close", resolve));
    return false;
  },
  "held back": async ({ world, kind }) => {
    await sleep(world.faults.delayMs(`line ${kind}`));
    return true;
  },
  "told again": async ({ world, response, told, kind }) => {
    const which = Math.floor((world.faults.delayMs(`again ${kind}`) / 155) * told.length);
    const line = told[which];
    if (line !== undefined) response.write(`${line}\n`);
    return true;
  },
};

async function* linesOf(body: AsyncIterable<unknown>): AsyncGenerator<string> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of body) {
    if (!(chunk instanceof Uint8Array)) continue;
    const pieces = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = pieces.pop() ?? "";
    yield* pieces.filter((piece) => piece !== "");
  }
}

function reset(response: ServerResponse): void {
  response.socket?.resetAndDestroy();
}

function reply(response: ServerResponse, { status: code, text }: Answer): void {
  response.writeHead(code, { "content-type": "application/json" });
  response.end(text);
}

function status(code: number, reason: string): Answer {
  return { status: code, text: JSON.stringify(statusObject(code, reason)) };
}

/** Waits shorter than a second, which the real server does not know, keep runs short. */
function statusObject(code: number, reason: string) {
  const details = code === 429 ? { retryAfterSeconds: 0.1 } : {};
  return { kind: "Status", apiVersion: "v1", status: "Failure", code, reason, details };
}
