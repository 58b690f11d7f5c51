import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";

/** What becomes of a request. The exchange sees it in every case but `refuse-connection`. */
export type Fault =
  | { readonly kind: "pass" }
  /** The exchange has accepted; its answer is never delivered, the connection stays open. */
  | { readonly kind: "swallow-answer" }
  /** The exchange has accepted; the connection breaks. */
  | { readonly kind: "break-after" }
  /** The exchange has accepted; half of its answer arrives. */
  | { readonly kind: "truncate" }
  /** The exchange has accepted; status 200 without a body arrives. */
  | { readonly kind: "empty" }
  | { readonly kind: "status"; readonly status: number }
  | { readonly kind: "break-before" }
  /** The request reaches the exchange twice; the second answer is delivered. */
  | { readonly kind: "send-twice" };

export interface ProxiedRequest {
  readonly method: string;
  readonly path: string;
  readonly body: string;
}

/** Stands between a bot and the simulator and spoils chosen requests. */
export class FaultProxy {
  /** Decides for each request; replaced by tests. */
  fault: (request: ProxiedRequest) => Fault = () => ({ kind: "pass" });
  readonly seen: ProxiedRequest[] = [];
  readonly #server = createServer((incoming, response) => void this.#serve(incoming, response));
  /** Address of the exchange; tests may put another one behind it. */
  target = "";

  async start(target: string): Promise<string> {
    this.target = target;
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("not a TCP server");
    return `http://127.0.0.1:${address.port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(incoming);
    const seen = {
      method: incoming.method ?? "GET",
      path: incoming.url ?? "/",
      body: body.toString("utf8"),
    };
    this.seen.push(seen);
    const fault = this.fault(seen);
    if (fault.kind === "break-before") {
      incoming.socket.destroy();
      return;
    }
    let answer = await this.#forward(incoming, body);
    if (fault.kind === "send-twice") answer = await this.#forward(incoming, body);
    deliver(fault, response, answer);
  }

  #forward(incoming: IncomingMessage, body: Buffer): Promise<{ status: number; body: Buffer }> {
    return new Promise((resolve, reject) => {
      const { method, headers, url } = incoming;
      const outgoing = request(
        new URL(url ?? "/", this.target),
        { ...(method === undefined ? {} : { method }), headers },
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
}

function deliver(
  fault: Fault,
  response: ServerResponse,
  answer: { readonly status: number; readonly body: Buffer },
): void {
  const headers = { "content-type": "application/json" };
  switch (fault.kind) {
    case "pass":
    case "send-twice":
      response.writeHead(answer.status, headers).end(answer.body);
      break;
    case "truncate":
      response.writeHead(answer.status, {
        ...headers,
        "content-length": `${answer.body.length}`,
      });
      response.write(answer.body.subarray(0, answer.body.length / 2));
      setTimeout(() => response.destroy(), 10);
      break;
    case "empty":
      response.writeHead(200, headers).end();
      break;
    case "status":
      response.writeHead(fault.status, headers).end("<html>busy</html>");
      break;
    case "break-before":
    case "break-after":
      response.destroy();
      break;
    case "swallow-answer":
      break;
  }
}
