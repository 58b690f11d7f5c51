import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { buffer } from "node:stream/consumers";

/** What becomes of a request, and what is to happen on its way. */
export type Fault = Spoiling & {
  /** Called when the exchange has answered, before anything of the answer is delivered. */
  readonly accepted?: () => void;
  /** Called when the answer has been handed to the network. */
  readonly answered?: () => void;
};

type Spoiling =
  | { readonly kind: "pass" }
  /** The exchange never sees the request; the connection stays open. */
  | { readonly kind: "swallow-request" }
  /** The exchange has accepted; its answer is never delivered, the connection stays open. */
  | { readonly kind: "swallow-answer" }
  /** The exchange never sees the request; the connection breaks. */
  | { readonly kind: "break-before" }
  /** The exchange has accepted; the connection breaks. */
  | { readonly kind: "break-after" }
  /** The exchange has accepted; half of its answer arrives. */
  | { readonly kind: "truncate" }
  /** The exchange has accepted; half of its answer arrives, the connection stays open. */
  | { readonly kind: "stall" }
  /** The exchange has accepted; status 200 without a body arrives. */
  | { readonly kind: "empty" }
  /** The exchange has accepted; a gateway answers with another status. */
  | { readonly kind: "status"; readonly status: number }
  /** A gateway answers; the exchange never sees the request. */
  | { readonly kind: "turn-away"; readonly status: number; readonly body: string }
  /** The request reaches the exchange twice; the second answer is delivered. */
  | { readonly kind: "send-twice" }
  /** The request arrives late. */
  | { readonly kind: "hold-request"; readonly until: Promise<unknown> }
  /** The exchange has accepted; its answer arrives late. */
  | { readonly kind: "hold-answer"; readonly until: Promise<unknown> };

export interface ProxiedRequest {
  readonly method: string;
  readonly path: string;
  readonly body: string;
}

interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

/** Stands between a bot and a server (exchange or journal), spoils chosen requests, and can cut the line altogether. */
export class FaultProxy {
  /** Decides for each request; replaced by tests. */
  fault: (request: ProxiedRequest) => Fault = () => ({ kind: "pass" });
  readonly seen: ProxiedRequest[] = [];
  /** Address of the server; tests may put another one behind it. */
  target = "";
  readonly #agent = new Agent({ keepAlive: true });
  readonly #server = createServer((incoming, response) => void this.#serve(incoming, response));
  readonly #tunnels = new Set<Duplex>();
  #isCut = false;
  #atServer = 0;

  constructor() {
    this.#server.on("upgrade", (incoming: IncomingMessage, socket: Duplex) =>
      this.#tunnel(incoming, socket),
    );
  }

  async start(target: string): Promise<string> {
    this.target = target;
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("not a TCP server");
    return `http://127.0.0.1:${address.port}`;
  }

  async close(): Promise<void> {
    this.#breakTunnels();
    this.#server.closeAllConnections();
    this.#agent.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** No request is on its way to the server or its answer on the way back. */
  get isQuiet(): boolean {
    return this.#atServer === 0;
  }

  /** From now on nothing passes in either direction, and no connection is told of it: a partitioned network. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#tunnels) {
      socket.unpipe();
      socket.on("data", () => undefined); // what arrives is lost
    }
  }

  /** The network is whole again; connections of before are gone. */
  heal(): void {
    this.#isCut = false;
    this.#breakTunnels();
    this.#server.closeAllConnections();
  }

  #breakTunnels(): void {
    for (const socket of this.#tunnels) socket.destroy();
    this.#tunnels.clear();
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on("error", () => undefined); // the bot may be dead
    try {
      const body = await buffer(incoming);
      if (this.#isCut) return;
      const { method = "GET", url: path = "/" } = incoming;
      const seen = { method, path, body: body.toString("utf8") };
      this.seen.push(seen);
      await this.#treat(this.fault(seen), { incoming, body, response });
    } catch {
      // The server behind us broke off, or the bot did.
      response.destroy();
    }
  }

  async #treat(
    fault: Fault,
    call: {
      readonly incoming: IncomingMessage;
      readonly body: Buffer;
      readonly response: ServerResponse;
    },
  ): Promise<void> {
    const { incoming, body, response } = call;
    if (fault.kind === "swallow-request") return;
    if (fault.kind === "break-before") {
      incoming.socket.destroy();
      return;
    }
    if (fault.kind === "turn-away") {
      response.writeHead(fault.status, JSON_TYPE).end(fault.body);
      return;
    }
    if (fault.kind === "hold-request") await fault.until;
    let answer = await this.#forward(incoming, body);
    if (fault.kind === "send-twice") answer = await this.#forward(incoming, body);
    fault.accepted?.();
    if (fault.kind === "hold-answer") await fault.until;
    // Whoever cuts the line means answers under way too.
    if (this.#isCut) return;
    if (fault.answered !== undefined) response.once("finish", fault.answered);
    deliver(fault, response, answer);
  }

  async #forward(incoming: IncomingMessage, body: Buffer): Promise<Answer> {
    this.#atServer += 1;
    try {
      return await this.#ask(incoming, body);
    } finally {
      this.#atServer -= 1;
    }
  }

  #ask(incoming: IncomingMessage, body: Buffer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const { method, headers, url } = incoming;
      const outgoing = request(
        new URL(url ?? "/", this.target),
        { ...(method === undefined ? {} : { method }), headers, agent: this.#agent },
        (answer) => {
          buffer(answer).then(
            (text) => resolve({ status: answer.statusCode ?? 500, body: text }),
            reject,
          );
        },
      );
      outgoing.once("error", reject);
      outgoing.end(body);
    });
  }

  /** WebSockets pass as bytes. */
  #tunnel(incoming: IncomingMessage, socket: Duplex): void {
    const { hostname, port } = new URL(this.target);
    const upstream: Socket = connect(Number(port), hostname);
    for (const end of [socket, upstream]) {
      this.#tunnels.add(end);
      end.on("error", () => undefined);
      end.once("close", () => {
        this.#tunnels.delete(end);
        if (!this.#isCut) [socket, upstream].forEach((each) => each.destroy());
      });
    }
    if (this.#isCut) return;
    const headers = incoming.rawHeaders
      .map((part, index) => (index % 2 === 0 ? `${part}: ` : `${part}\r\n`))
      .join("");
    upstream.write(`GET ${incoming.url} HTTP/1.1\r\n${headers}\r\n`);
    upstream.pipe(socket);
    socket.pipe(upstream);
  }
}

const JSON_TYPE = { "content-type": "application/json" };

function deliver(fault: Fault, response: ServerResponse, answer: Answer): void {
  switch (fault.kind) {
    case "truncate":
      deliverHalf(response, answer);
      setTimeout(() => response.destroy(), 10);
      break;
    case "stall":
      deliverHalf(response, answer);
      break;
    case "empty":
      response.writeHead(200, JSON_TYPE).end();
      break;
    case "status":
      response.writeHead(fault.status, JSON_TYPE).end("<html>busy</html>");
      break;
    case "break-after":
      response.destroy();
      break;
    case "swallow-answer":
      break;
    case "pass":
    case "send-twice":
    case "hold-request":
    case "hold-answer":
    case "swallow-request":
    case "break-before":
    case "turn-away":
      response.writeHead(answer.status, JSON_TYPE).end(answer.body);
      break;
    default:
      fault satisfies never;
  }
}

function deliverHalf(response: ServerResponse, { status, body }: Answer): void {
  response.writeHead(status, { ...JSON_TYPE, "content-length": `${body.length}` });
  response.write(body.subarray(0, body.length / 2));
}
