import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { json } from "node:stream/consumers";
import { JournalModel } from "./journal-model.ts";

/** How the journal behaves at the moment. */
export type JournalMode = "up" | "down" | "silent-after-intent";

/** The journal's model behind HTTP, for bots that are processes. */
export class JournalServer extends JournalModel {
  mode: JournalMode = "up";
  readonly #server = createServer((request, response) => void this.#answer(request, response));

  constructor() {
    super({ nowMs: () => performance.now() });
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("not a TCP server");
    return `http://127.0.0.1:${address.port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.mode === "down") {
      request.socket.destroy();
      return;
    }
    const body: unknown = await json(request);
    const podUid = (request.headers.authorization ?? "").replace("Bearer ", "");
    const path = request.url ?? "";
    const answer = this.handle(path, podUid, body);
    if (path === "/v1/intents" && this.mode === "silent-after-intent") return;
    response.writeHead(answer.status, { "content-type": "application/json" });
    response.end(JSON.stringify(answer.body));
  }
}
