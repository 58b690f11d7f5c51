import { turnoverOf } from "./candles.ts";
import type { ServerClock } from "./clock.ts";
import type { Faults } from "./faults.ts";
import type { Market } from "./market.ts";
import { type Operation, parseOperation } from "./stream-operation.ts";
import { StreamOutlet, type StreamSession, type StreamSocket } from "./stream-outlet.ts";

const MAX_TOPICS_PER_CONNECTION = 200;

interface Topic {
  readonly interval: string;
  readonly symbol: string;
}

interface StreamParts {
  readonly market: Market;
  readonly clock: ServerClock;
  readonly faults: Faults;
  /** Whether a symbol is delisted: it has no candles any more. */
  readonly isClosed: (symbol: string) => boolean;
  /** A new connection's id. */
  readonly newId: () => string;
}

/** The public kline stream: op subscribe, unsubscribe and ping, topics `kline.<interval>.<symbol>`. */
export class PublicStream {
  readonly #market: Market;
  readonly #clock: ServerClock;
  readonly #outlet: StreamOutlet;
  readonly #isClosed: (symbol: string) => boolean;
  readonly #newId: () => string;
  readonly #subscribers = new Map<string, Set<StreamSocket>>();

  constructor({ market, clock, faults, isClosed, newId }: StreamParts) {
    this.#market = market;
    this.#clock = clock;
    this.#isClosed = isClosed;
    this.#newId = newId;
    this.#outlet = new StreamOutlet("public", faults);
  }

  open(socket: StreamSocket): StreamSession {
    const connectionId = this.#newId();
    return {
      receive: (text) => socket.send(this.#reply(socket, text, connectionId)),
      close: () => {
        for (const topic of this.#subscribers.keys()) this.#forget(socket, topic);
      },
    };
  }

  /** Sends every subscribed candle as it stands now: after one opened, or after it closed. */
  publish(): void {
    for (const [topic, sockets] of this.#subscribers) {
      if (this.#isClosed(topic.split(".")[2] ?? "")) continue;
      const text = this.#snapshot(topic);
      for (const socket of sockets) this.#outlet.send(socket, { topic, text });
    }
  }

  #reply(socket: StreamSocket, text: string, connectionId: string): string {
    const parsed = parseOperation(text);
    const operation = parsed ?? { op: "", req_id: "", args: [] };
    const error = parsed ? this.#perform(socket, operation) : "error:json decode failed";
    return JSON.stringify({
      success: error === undefined,
      ret_msg: error ?? (operation.op === "ping" ? "pong" : ""),
      conn_id: connectionId,
      req_id: operation.req_id,
      op: operation.op,
    });
  }

  /** Gives back an error message when the operation is refused, as a whole. */
  #perform(socket: StreamSocket, { op, args }: Operation): string | undefined {
    if (op === "ping") return undefined;
    if (op !== "subscribe" && op !== "unsubscribe") return `error:unknown op ${op}`;
    const unknown = args.find((topic) => this.#topic(topic) === undefined);
    if (unknown !== undefined) return `error:handler not found,topic:${unknown}`;
    if (op === "unsubscribe") {
      for (const topic of args) this.#forget(socket, topic);
      return undefined;
    }
    const held = [...this.#subscribers.values()].filter((sockets) => sockets.has(socket)).length;
    if (held + args.length > MAX_TOPICS_PER_CONNECTION) return "error:too many topics";
    for (const topic of args) {
      const sockets = this.#subscribers.get(topic) ?? new Set();
      this.#subscribers.set(topic, sockets.add(socket));
    }
    return undefined;
  }

  #forget(socket: StreamSocket, topic: string): void {
    const sockets = this.#subscribers.get(topic);
    sockets?.delete(socket);
    if (sockets?.size === 0) this.#subscribers.delete(topic);
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
