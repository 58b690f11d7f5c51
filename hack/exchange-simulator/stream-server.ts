import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import type { StreamSession, StreamSocket } from "./stream-outlet.ts";

const MAX_CONNECTIONS = 10_000;
const MAX_MESSAGE_BYTES = 64 * 1_024;
/** A reader that lets this much pile up is cut off; Bybit does the same. */
const MAX_BACKLOG_BYTES = 1_024 * 1_024;

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

function serve(client: WebSocket, stream: Stream): void {
  const session = stream.open({
    send: (text) => {
      if (client.bufferedAmount > MAX_BACKLOG_BYTES) client.terminate();
      else client.send(text);
    },
    reset: () => client.terminate(),
  });
  // ws hands out one Buffer unless told otherwise.
  client.on("message", (data) =>
    session.receive(Buffer.isBuffer(data) ? data.toString("utf8") : ""),
  );
  client.on("close", () => session.close());
  // A broken connection is closed by ws itself; the event only has to be heard.
  client.on("error", () => {});
}
