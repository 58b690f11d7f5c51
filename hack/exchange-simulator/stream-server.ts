import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import type { StreamSession, StreamSocket } from "./stream-outlet.ts";

const MAX_CONNECTIONS = 10_000;
const MAX_MESSAGE_BYTES = 64 * 1_024;
/** A reader that lets this much pile up is cut off; Bybit does the same. */
const MAX_BACKLOG_BYTES = 1_024 * 1_024;
const MAX_HELD_UP = 10_000;

interface Stream {
  readonly open: (socket: StreamSocket) => StreamSession;
}

/** WebSockets for streams, by path. */
export class StreamServer {
  readonly #server = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
  });
  readonly #streams: Readonly<Record<string, Stream>>;

  /** `streams`: by path, such as "/v5/public/linear". */
  constructor(streams: Readonly<Record<string, Stream>>) {
    this.#streams = streams;
  }

  /** Takes over an HTTP upgrade; refuses other paths and too many connections. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const stream = this.#streams[request.url?.split("?")[0] ?? ""];
    if (stream === undefined || this.#server.clients.size >= MAX_CONNECTIONS) {
      socket.end(`HTTP/1.1 ${stream === undefined ? 404 : 503} \r\nConnection: close\r\n\r\n`);
      return;
    }
    this.#server.handleUpgrade(request, socket, head, (client) => serve(client, stream));
  }

  close(): void {
    for (const client of this.#server.clients) client.terminate();
    this.#server.close();
  }
}

/** Sends in order: what follows a message that is held up waits behind it. */
class Sender {
  readonly #client: WebSocket;
  #heldUp: { readonly text: string; readonly untilMs: number }[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(client: WebSocket) {
    this.#client = client;
  }

  send(text: string, lateMs: number): void {
    if (this.#heldUp.length >= MAX_HELD_UP) this.#client.terminate();
    this.#heldUp.push({ text, untilMs: performance.now() + lateMs });
    if (this.#timer === undefined) this.#sendDue();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#heldUp = [];
  }

  #sendDue(): void {
    this.#timer = undefined;
    for (let first = this.#heldUp[0]; first !== undefined; first = this.#heldUp[0]) {
      const waitMs = first.untilMs - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#sendDue(), Math.ceil(waitMs));
        return;
      }
      this.#heldUp.shift();
      if (this.#client.bufferedAmount > MAX_BACKLOG_BYTES) this.#client.terminate();
      else this.#client.send(first.text);
    }
  }
}

function serve(client: WebSocket, stream: Stream): void {
  const sender = new Sender(client);
  const session = stream.open({
    send: (text, lateMs = 0) => sender.send(text, lateMs),
    reset: () => client.terminate(),
  });
  // ws hands out one Buffer unless told otherwise.
  client.on("message", (data) =>
    session.receive(Buffer.isBuffer(data) ? data.toString("utf8") : ""),
  );
  client.on("close", () => {
    sender.close();
    session.close();
  });
  // A broken connection is closed by ws itself; the event only has to be heard.
  client.on("error", () => {});
}
