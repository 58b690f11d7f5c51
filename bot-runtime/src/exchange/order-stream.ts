import { createHmac } from "node:crypto";
import { type RawData, WebSocket } from "ws";
import * as z from "zod";
import type { Log } from "../bot/log.ts";
import type { Clock } from "../clock.ts";
import type { ExchangeKeyValues } from "./exchange.ts";

export interface OrderStreamOptions {
  readonly url: string;
  readonly key: ExchangeKeyValues;
  /** Something happened to orders or position of the symbol; undefined: anything may have, unheard. */
  readonly onHint: (symbol: string | undefined) => void;
  readonly log: Log;
  readonly clock: Clock;
  /** This machine's clock less the exchange's, ms; undefined while it is not known. */
  readonly skewMs: () => number | undefined;
  /** 0–1: spreads the reconnections of many bots. */
  readonly random: () => number;
}

const TOPICS = ["order", "execution", "position"];
/** Bybit closes a connection that is silent for longer. */
const PING_EVERY_MS = 20_000;
/** Two pings without any answer: the connection is dead, whatever the socket says. */
const SILENT_AFTER_MS = 45_000;
const WATCH_EVERY_MS = 1_000;
const RETRY_MIN_MS = 250;
const RETRY_MAX_MS = 15_000;
const HANDSHAKE_TIMEOUT_MS = 10_000;
const MAX_MESSAGE_BYTES = 256 * 1_024;
/** How long a signature may travel, by the exchange's clock. */
const AUTH_WINDOW_MS = 10_000;

const Message = z.object({
  op: z.string().optional(),
  success: z.boolean().optional(),
  ret_msg: z.string().optional(),
  topic: z.string().optional(),
  data: z.array(z.object({ symbol: z.string().optional() })).optional(),
});
type Message = z.infer<typeof Message>;

/**
 * Bybit's private stream of an account's orders, executions and positions. Its messages are hints and nothing else: each says
 * that something is to be looked at, and what is true is then asked for. So doubles, disorder and loss cannot do harm, and a
 * bot whose stream is away looks more often instead.
 * https://bybit-exchange.github.io/docs/v5/ws/connect#authentication
 */
export class OrderStream {
  readonly #options: OrderStreamOptions;
  readonly #ended = new AbortController();
  #socket: WebSocket | undefined;
  #stopWatching: () => void = () => undefined;
  #subscribed = false;
  #failures = 0;
  #heardMs = 0;
  #lastPingMs = 0;

  constructor(options: OrderStreamOptions) {
    this.#options = options;
  }

  /** Connected, let in, subscribed, and answering. */
  get alive(): boolean {
    const isOpen = this.#socket?.readyState === WebSocket.OPEN;
    const silentMs = this.#options.clock.monotonicMs() - this.#heardMs;
    return isOpen && this.#subscribed && silentMs <= SILENT_AFTER_MS;
  }

  start(): void {
    this.#connect();
    this.#stopWatching = this.#options.clock.every(WATCH_EVERY_MS, () => this.#check());
  }

  close(): void {
    this.#ended.abort();
    this.#stopWatching();
    this.#socket?.terminate();
  }

  #connect(): void {
    const socket = new WebSocket(this.#options.url, {
      perMessageDeflate: false,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      maxPayload: MAX_MESSAGE_BYTES,
    });
    this.#socket = socket;
    this.#subscribed = false;
    this.#heardMs = this.#options.clock.monotonicMs();
    this.#lastPingMs = this.#heardMs;
    socket.on("open", () => socket.send(JSON.stringify(this.#authentication())));
    socket.on("message", (data) => this.#receive(data));
    socket.on("error", (error) => {
      const message = this.#options.key.scrub(error.message);
      this.#options.log.warn("order-stream-error", { message });
    });
    socket.on("close", () => void this.#reconnect(socket));
  }

  #authentication() {
    const { apiKey, apiSecret } = this.#options.key.reveal();
    const expires = this.#options.clock.nowMs() - (this.#options.skewMs() ?? 0) + AUTH_WINDOW_MS;
    const signature = createHmac("sha256", apiSecret).update(`GET/realtime${expires}`);
    return { op: "auth", args: [apiKey, `${expires}`, signature.digest("hex")] };
  }

  async #reconnect(socket: WebSocket): Promise<void> {
    const { signal } = this.#ended;
    if (signal.aborted || socket !== this.#socket) return;
    this.#subscribed = false;
    const longest = Math.min(RETRY_MIN_MS * 2 ** Math.min(this.#failures, 10), RETRY_MAX_MS);
    this.#failures += 1;
    await this.#options.clock.sleep(longest * (0.5 + this.#options.random() / 2), signal);
    if (!signal.aborted) this.#connect();
  }

  #check(): void {
    const socket = this.#socket;
    if (socket?.readyState !== WebSocket.OPEN) return;
    const now = this.#options.clock.monotonicMs();
    if (now - this.#heardMs > SILENT_AFTER_MS) {
      this.#options.log.warn("order-stream-silent", { forMs: Math.round(now - this.#heardMs) });
      socket.terminate();
      return;
    }
    if (now - this.#lastPingMs < PING_EVERY_MS) return;
    this.#lastPingMs = now;
    socket.send(JSON.stringify({ op: "ping" }));
  }

  #receive(data: RawData): void {
    this.#heardMs = this.#options.clock.monotonicMs();
    const message = Message.safeParse(parseJson(data)).data;
    if (message === undefined) return;
    if (message.topic === undefined) this.#answered(message);
    else if (TOPICS.includes(message.topic)) this.#hint(message);
  }

  #answered({ op, success, ret_msg: said }: Message): void {
    if (op !== "auth" && op !== "subscribe") return;
    if (success !== true) {
      this.#options.log.warn("order-stream-refused", { op, message: said ?? "" });
      this.#socket?.terminate();
    } else if (op === "auth") {
      this.#socket?.send(JSON.stringify({ op: "subscribe", args: TOPICS }));
    } else {
      this.#subscribed = true;
      this.#failures = 0;
      // Whatever happened while nobody listened.
      this.#options.onHint(undefined);
    }
  }

  #hint({ data = [] }: Message): void {
    const names = new Set(data.flatMap(({ symbol }) => symbol ?? []));
    for (const name of names) this.#options.onHint(unifiedSymbol(name));
  }
}

/** BTC/USDT:USDT for BTCUSDT; undefined for a contract that is not settled in USDT. */
function unifiedSymbol(name: string): string | undefined {
  const [, base] = /^(\w+)USDT$/.exec(name) ?? [];
  return base === undefined ? undefined : `${base}/USDT:USDT`;
}

function parseJson(data: RawData): unknown {
  try {
    // Text frames arrive as one Buffer.
    return Buffer.isBuffer(data) ? JSON.parse(data.toString("utf8")) : undefined;
  } catch {
    return undefined;
  }
}
