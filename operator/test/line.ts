import {
  type ClientRequest,
  createServer as createHttpServer,
  type IncomingMessage,
  request as requestHttp,
  type RequestOptions,
  type Server,
  type ServerResponse,
} from "node:http";
import { Agent, createServer as createHttpsServer, request as requestHttps } from "node:https";
import { once } from "node:events";
import { type AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { z } from "zod";

/** A request as it came from the process, and what became of it. */
export interface Passed {
  readonly method: string;
  readonly path: string;
  readonly body: string;
  /** Milliseconds of this process' monotonic clock. */
  readonly atMs: number;
  /** Of the answer; undefined until there is one. */
  status: number | undefined;
  /** The store's revision that the answered object has: writes of all processes are ordered by it. */
  revision: number | undefined;
}

/** What is to become of a request. A stream is answered by its first bytes. */
export type Treatment =
  | { readonly kind: "pass"; readonly answered?: () => void }
  /** The server never sees it, and no answer comes. */
  | { readonly kind: "swallow-request" }
  /** The server has answered; its answer is never delivered. */
  | { readonly kind: "swallow-answer"; readonly taken: () => void }
  /** It arrives late. */
  | { readonly kind: "hold"; readonly until: Promise<unknown> }
  /** The server sees its head and half of its body, then the connection breaks on both sides. */
  | { readonly kind: "break-in-the-middle"; readonly until: Promise<unknown> };

export interface LineEnds {
  /** The server behind the line. */
  readonly target: string;
  /** To be known as `target` to those who check certificates; absent: plain HTTP. */
  readonly certificate?: { readonly cert: string; readonly key: string };
  /** How the line proves itself to the server. */
  readonly access?: {
    readonly ca: () => string | undefined;
    readonly clientCertificate: { readonly cert: string; readonly key: string } | undefined;
  };
}

const Versioned = z.object({ metadata: z.object({ resourceVersion: z.string() }) });

/** Stands between a process and one server: sees each request, and decides what becomes of it. */
export class Line {
  /** Asked for each request; replaced by tests. */
  treat: (request: Passed) => Treatment = () => ({ kind: "pass" });
  /** In order of arrival. */
  readonly passed: Passed[] = [];
  readonly #ends: LineEnds;
  readonly #server: Server;
  readonly #agent: Agent | undefined;
  #underWay = 0;

  private constructor(ends: LineEnds) {
    this.#ends = ends;
    const serve = (incoming: IncomingMessage, response: ServerResponse) =>
      void this.#serve(incoming, response);
    const { certificate, access } = ends;
    this.#server =
      certificate === undefined
        ? createHttpServer(serve)
        : createHttpsServer({ ...certificate }, serve);
    this.#agent =
      access === undefined
        ? undefined
        : new Agent({ keepAlive: true, ca: access.ca(), ...access.clientCertificate });
  }

  static async open(ends: LineEnds): Promise<Line> {
    const line = new Line(ends);
    line.#server.listen(0, "127.0.0.1");
    await once(line.#server, "listening");
    return line;
  }

  get port(): number {
    const address: AddressInfo | string | null = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("not a TCP server");
    return address.port;
  }

  get url(): string {
    return `http${this.#ends.certificate === undefined ? "" : "s"}://127.0.0.1:${this.port}`;
  }

  /** Nothing of what was sent is still on its way to the server, streams apart. */
  get isQuiet(): boolean {
    return this.#underWay === 0;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#agent?.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on("error", () => undefined); // the process may be dead
    try {
      const body = await buffer(incoming);
      const { method = "GET", url: path = "/" } = incoming;
      const passed: Passed = {
        method,
        path,
        body: body.toString("utf8"),
        atMs: performance.now(),
        status: undefined,
        revision: undefined,
      };
      this.passed.push(passed);
      await this.#carryOut(this.treat(passed), { incoming, response, body, passed });
    } catch {
      // The server broke off, or the process did.
      response.destroy();
    }
  }

  async #carryOut(treatment: Treatment, call: Call): Promise<void> {
    const { response } = call;
    switch (treatment.kind) {
      case "swallow-request":
        return;
      case "break-in-the-middle":
        await this.#sendHalf(call, treatment.until);
        response.destroy();
        return;
      case "hold":
        await treatment.until;
        deliver(await this.#forward(call), response);
        return;
      case "swallow-answer":
        await this.#forward(call);
        treatment.taken();
        return;
      case "pass": {
        const { answered } = treatment;
        deliver(await this.#forward(call), response, answered);
      }
    }
  }

  /** Resolves with an ordinary answer as a whole, with that of a stream once it has begun. */
  async #forward(call: Call): Promise<Answer> {
    this.#underWay += 1;
    try {
      const outgoing = this.#outgoing(call);
      outgoing.end(call.body);
      const answer = await answerTo(outgoing);
      call.passed.status = answer.statusCode;
      if (isStream(call.passed)) {
        call.response.once("close", () => answer.destroy());
        return { message: answer, body: undefined };
      }
      const body = await buffer(answer);
      call.passed.revision = revisionOf(body);
      return { message: answer, body };
    } finally {
      this.#underWay -= 1;
    }
  }

  async #sendHalf(call: Call, until: Promise<unknown>): Promise<void> {
    const outgoing = this.#outgoing(call);
    outgoing.on("error", () => undefined);
    outgoing.setHeader("content-length", call.body.length);
    outgoing.write(call.body.subarray(0, call.body.length / 2));
    await until;
    outgoing.destroy();
  }

  #outgoing({ incoming }: Call) {
    const { target } = this.#ends;
    const options: RequestOptions = {
      method: incoming.method ?? "GET",
      headers: { ...incoming.headers, host: new URL(target).host },
    };
    const url = new URL(incoming.url ?? "/", target);
    return this.#agent === undefined
      ? requestHttp(url, options)
      : requestHttps(url, { ...options, agent: this.#agent });
  }
}

function answerTo(outgoing: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    outgoing.once("response", resolve);
    outgoing.once("error", reject);
  });
}

interface Call {
  readonly incoming: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: Buffer;
  readonly passed: Passed;
}

interface Answer {
  readonly message: IncomingMessage;
  /** Undefined for a stream. */
  readonly body: Buffer | undefined;
}

function deliver(
  { message, body }: Answer,
  response: ServerResponse,
  answered: () => void = () => undefined,
): void {
  response.writeHead(message.statusCode ?? 502, message.headers);
  if (body !== undefined) {
    response.once("finish", answered);
    response.end(body);
    return;
  }
  message.once("error", () => response.destroy());
  message.once("data", (chunk: Buffer) => {
    response.write(chunk, answered);
    message.pipe(response);
  });
  message.once("end", () => response.end());
}

/** An answer that does not end by itself. */
function isStream({ path }: Passed): boolean {
  return path.includes("watch=true") || path === "/v1/reports";
}

function revisionOf(body: Buffer): number | undefined {
  try {
    return Number(Versioned.parse(JSON.parse(body.toString("utf8"))).metadata.resourceVersion);
  } catch {
    return undefined; // not an object of the API
  }
}
