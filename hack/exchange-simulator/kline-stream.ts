import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type RawData, type WebSocket, WebSocketServer } from "ws";
import { z } from "zod";
import { turnoverOf } from "./candles.ts";
import type { ServerClock } from "./clock.ts";
import type { Market } from "./market.ts";

export const STREAM_PATH = "/v5/public/linear";

const MAX_CONNECTIONS = 10_000;
const MAX_TOPICS_PER_CONNECTION = 200;
const MAX_MESSAGE_BYTES = 64 * 1_024;
/** A reader that lets this much pile up is cut off; Bybit does the same. */
const MAX_BACKLOG_BYTES = 1_024 * 1_024;

const Operation = z.object({
  op: z.string(),
  req_id: z.string().default(""),
  args: z.array(z.string()).default([]),
});
type Operation = z.infer<typeof Operation>;

interface Topic {
  readonly interval: string;
  readonly symbol: string;
}

/** The public kline stream: op subscribe, unsubscribe and ping, topics `kline.<interval>.<symbol>`. */
export class KlineStream {
  readonly #server = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
  });
  readonly #market: Market;
  readonly #clock: ServerClock;
  readonly #subscribers = new Map<string, Set<WebSocket>>();

  constructor(parts: { readonly market: Market; readonly clock: ServerClock }) {
    this.#market = parts.market;
    this.#clock = parts.clock;
  }

  /** Takes over an HTTP upgrade; refuses other paths and too many connections. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const path = request.url?.split("?")[0];
    if (path !== STREAM_PATH || this.#server.clients.size >= MAX_CONNECTIONS) {
      socket.end(`HTTP/1.1 ${path === STREAM_PATH ? 503 : 404} \r\nConnection: close\r\n\r\n`);
      return;
    }
    this.#server.handleUpgrade(request, socket, head, (client) => this.#serve(client));
  }

  /** Sends every subscribed candle as it stands now: after one opened, or after it closed. */
  publish(): void {
    for (const [topic, clients] of this.#subscribers) {
      const message = this.#snapshot(topic);
      for (const client of clients) {
        if (client.bufferedAmount > MAX_BACKLOG_BYTES) client.terminate();
        else client.send(message);
      }
    }
  }

  close(): void {
    for (const client of this.#server.clients) client.terminate();
    this.#server.close();
  }

  #serve(client: WebSocket): void {
    const connectionId = randomUUID();
    client.on("message", (data) => client.send(this.#reply(client, data, connectionId)));
    client.on("close", () => {
      for (const topic of this.#subscribers.keys()) this.#forget(client, topic);
    });
    // A broken connection is closed by ws itself; the event only has to be heard.
    client.on("error", () => {});
  }

  #reply(client: WebSocket, data: RawData, connectionId: string): string {
    const parsed = Operation.safeParse(parseJson(data));
    const operation = parsed.success ? parsed.data : { op: "", req_id: "", args: [] };
    const error = parsed.success ? this.#perform(client, operation) : "error:json decode failed";
    return JSON.stringify({
      success: error === undefined,
      ret_msg: error ?? (operation.op === "ping" ? "pong" : ""),
      conn_id: connectionId,
      req_id: operation.req_id,
      op: operation.op,
    });
  }

  /** Gives back an error message when the operation is refused, as a whole. */
  #perform(client: WebSocket, { op, args }: Operation): string | undefined {
    if (op === "ping") return undefined;
    if (op !== "subscribe" && op !== "unsubscribe") return `error:unknown op ${op}`;
    const unknown = args.find((topic) => this.#topic(topic) === undefined);
    if (unknown !== undefined) return `error:handler not found,topic:${unknown}`;
    if (op === "unsubscribe") {
      for (const topic of args) this.#forget(client, topic);
      return undefined;
    }
    const held = [...this.#subscribers.values()].filter((clients) => clients.has(client)).length;
    if (held + args.length > MAX_TOPICS_PER_CONNECTION) return "error:too many topics";
    for (const topic of args) {
      const clients = this.#subscribers.get(topic) ?? new Set();
      this.#subscribers.set(topic, clients.add(client));
    }
    return undefined;
  }

  #forget(client: WebSocket, topic: string): void {
    const clients = this.#subscribers.get(topic);
    clients?.delete(client);
    if (clients?.size === 0) this.#subscribers.delete(topic);
  }

  #topic(name: string): Topic | undefined {
    const [kind, interval, symbol, ...rest] = name.split(".");
    if (kind !== "kline" || interval === undefined || symbol === undefined || rest.length > 0) {
      return undefined;
    }
    const served =
      this.#market.has(symbol) && this.#market.servedIntervalMs(interval) !== undefined;
    return served ? { interval, symbol } : undefined;
  }

  #snapshot(name: string): string {
    const topic = this.#topic(name);
    if (topic === undefined) throw new Error(`subscribed to ${name}, which is not served`);
    const { candle, intervalMs, confirmed } = this.#market.klineUpdate(
      topic.symbol,
      topic.interval,
    );
    const { start, open, close, high, low, volume } = candle;
    const entry = {
      start,
      end: start + intervalMs - 1,
      interval: topic.interval,
      open,
      close,
      high,
      low,
      volume,
      turnover: turnoverOf(candle),
      confirm: confirmed,
      // Replay time of the last trade in the candle; `ts` is server time.
      timestamp: confirmed ? start + intervalMs - 1 : this.#market.replayTime(),
    };
    return JSON.stringify({ topic: name, data: [entry], ts: this.#clock.now(), type: "snapshot" });
  }
}

function parseJson(data: RawData): unknown {
  try {
    // ws hands out one Buffer unless told otherwise.
    return Buffer.isBuffer(data) ? JSON.parse(data.toString("utf8")) : undefined;
  } catch {
    return undefined;
  }
}
