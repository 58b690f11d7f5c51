import { once } from "node:events";
import { createConnection, type Socket } from "node:net";

/** A load that waits for nobody longer than this has found a server that hangs. */
const ANSWER_LIMIT_MS = 30_000;

interface Target {
  readonly port: number;
  /** The bytes of the next request. Called once for each. */
  readonly next: () => string;
  /** Statuses besides 200 that are no failure. */
  readonly alsoFine?: readonly number[];
  /** Told of every answer. */
  readonly heard?: (answer: Answer) => void;
}

export interface Answer {
  readonly status: number;
  /** Head and body. */
  readonly text: string;
  readonly latencyMs: number;
}

export interface Load extends Target {
  readonly connections: number;
  readonly durationMs: number;
}

export interface Answered {
  readonly perSecond: number;
  /** One per answer; of an open loop they count from when the request was due, whenever it was sent. */
  readonly latenciesMs: readonly number[];
}

/** A GET or POST as bytes for a connection that is kept. */
export function requestBytes(line: string, headers: Readonly<Record<string, string>>, body = "") {
  const length = body === "" ? {} : { "content-length": String(Buffer.byteLength(body)) };
  const fields = Object.entries({ host: "127.0.0.1", ...headers, ...length });
  return `${line} HTTP/1.1\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n${body}`;
}

/** Every connection sends its next request when the one before is answered. */
export async function closedLoop(load: Load): Promise<Answered> {
  const latenciesMs: number[] = [];
  const startedMs = performance.now();
  const endsMs = startedMs + load.durationMs;
  await withConnections(load, async (connection) => {
    while (performance.now() < endsMs) {
      const sentMs = performance.now();
      const answer = await connection.ask(load.next());
      const latencyMs = performance.now() - sentMs;
      latenciesMs.push(latencyMs);
      load.heard?.({ ...answer, latencyMs });
    }
  });
  const seconds = (performance.now() - startedMs) / 1_000;
  return { perSecond: latenciesMs.length / seconds, latenciesMs };
}

/**
 * So many requests a second, whatever becomes of those before: what waits for a free connection waits at the server's cost. Requests are
 * up to a millisecond late, which counts as the server's too: a generator that spins would take a core from what it measures.
 */
export async function openLoop(load: Load & { readonly perSecond: number }): Promise<Answered> {
  const connections = await connectAll(load);
  try {
    return await sendWhenDue(load, connections);
  } finally {
    for (const connection of connections) connection.close();
  }
}

async function sendWhenDue(
  load: Load & { readonly perSecond: number },
  connections: readonly Connection[],
): Promise<Answered> {
  const latenciesMs: number[] = [];
  const free = [...connections];
  const waiting: number[] = [];
  const count = Math.floor((load.perSecond * load.durationMs) / 1_000);
  const startedMs = performance.now();
  let due = 0;
  const ended = Promise.withResolvers<void>();

  const send = async (connection: Connection, dueMs: number): Promise<void> => {
    const answer = await connection.ask(load.next());
    const latencyMs = performance.now() - dueMs;
    latenciesMs.push(latencyMs);
    load.heard?.({ ...answer, latencyMs });
    if (latenciesMs.length === count) ended.resolve();
    free.push(connection);
    pump();
  };
  const pump = (): void => {
    for (;;) {
      const connection = waiting.length > 0 ? free.pop() : undefined;
      const dueMs = connection === undefined ? undefined : waiting.shift();
      if (connection === undefined || dueMs === undefined) return;
      send(connection, dueMs).catch(ended.reject);
    }
  };
  const timer = setInterval(() => {
    for (; due < count; due += 1) {
      const dueMs = startedMs + (due * 1_000) / load.perSecond;
      if (dueMs > performance.now()) break;
      waiting.push(dueMs);
    }
    pump();
  }, 1);
  await ended.promise.finally(() => clearInterval(timer));
  const seconds = (performance.now() - startedMs) / 1_000;
  return { perSecond: latenciesMs.length / seconds, latenciesMs };
}

async function withConnections(
  load: Load,
  work: (connection: Connection) => Promise<void>,
): Promise<void> {
  const connections = await connectAll(load);
  try {
    await Promise.all(connections.map(work));
  } finally {
    for (const connection of connections) connection.close();
  }
}

function connectAll(load: Load): Promise<Connection[]> {
  return Promise.all(Array.from({ length: load.connections }, () => connect(load)));
}

interface Connection {
  /** Rejects for a status that is not fine. */
  ask(request: string): Promise<Omit<Answer, "latencyMs">>;
  close(): void;
}

async function connect({ port, alsoFine = [] }: Target): Promise<Connection> {
  const socket = createConnection({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  let asked: PromiseWithResolvers<Omit<Answer, "latencyMs">> | undefined;
  const fail = (failure: Error) => asked?.reject(failure);
  readAnswers(socket, (status, text) => {
    const isFine = status === 200 || alsoFine.includes(status);
    if (isFine) asked?.resolve({ status, text });
    else fail(new Error(`answered ${status}: ${text.slice(0, 2_000)}`));
  });
  socket.on("error", fail);
  socket.on("close", () => fail(new Error("the server closed the connection")));
  socket.setTimeout(ANSWER_LIMIT_MS, () => socket.destroy());
  return {
    ask: (request) => {
      asked = Promise.withResolvers();
      socket.write(request, "latin1");
      return asked.promise;
    },
    close: () => socket.destroy(),
  };
}

/** Calls back with status and text of each answer. All of ours tell their length. */
function readAnswers(socket: Socket, onAnswer: (status: number, text: string) => void): void {
  let seen = "";
  let wanted = -1;
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    seen = seen === "" ? chunk : seen + chunk;
    if (wanted < 0) {
      const head = seen.indexOf("\r\n\r\n");
      if (head < 0) return;
      const length = /\r\ncontent-length: (\d+)/i.exec(seen)?.[1];
      if (length === undefined) throw new Error(`an answer without a length: ${seen}`);
      wanted = head + 4 + Number(length);
    }
    if (seen.length < wanted) return;
    const text = seen;
    seen = "";
    wanted = -1;
    onAnswer(Number(text.slice(9, 12)), text);
  });
}
