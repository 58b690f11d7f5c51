import { type RawData, WebSocket } from "ws";
import type { Clock } from "../clock.ts";

/** What a stream makes of its connection. */
export interface SocketOptions {
  readonly url: string;
  readonly clock: Pick<Clock, "monotonicMs" | "sleep" | "every">;
  /** 0–1: spreads the reconnections of many bots. */
  readonly random: () => number;
  /** A connection is begun: whatever was known of the one before is over. */
  readonly onConnecting: () => void;
  readonly onOpen: () => void;
  /** One message, parsed; undefined when it is no JSON. */
  readonly onMessage: (message: unknown) => void;
  readonly onError: (message: string) => void;
  readonly onClosed: (retryInMs: number) => void;
  /** Called every second of an open connection; `dead` ends it. */
  readonly check: () => "alive" | "dead";
}

/** Bybit closes a connection that is silent for longer. */
const PING_EVERY_MS = 20_000;
const CHECK_EVERY_MS = 1_000;
const RETRY_MIN_MS = 250;
const RETRY_MAX_MS = 15_000;
const HANDSHAKE_TIMEOUT_MS = 10_000;
const MAX_MESSAGE_BYTES = 256 * 1_024;

/** A connection to one of Bybit's streams that is pinged, and opened again whenever it has closed, until `close`. */
export class BybitSocket {
  readonly #options: SocketOptions;
  readonly #ended = new AbortController();
  #socket: WebSocket | undefined;
  #stopChecking: () => void = () => undefined;
  #failures = 0;
  #lastPingMs = 0;

  constructor(options: SocketOptions) {
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  start(): void {
    this.#connect();
    this.#stopChecking = this.#options.clock.every(CHECK_EVERY_MS, () => this.#check());
  }

  close(): void {
    this.#ended.abort();
    this.#stopChecking();
    this.#socket?.terminate();
  }

  /** Ends this connection; another follows. */
  drop(): void {
    this.#socket?.terminate();
  }

  /** Sent on an open connection, or not at all. */
  send(message: object): void {
    if (this.isOpen) this.#socket?.send(JSON.stringify(message));
  }

  /** The connection does what it is for: after its end the next one is tried soon. */
  proven(): void {
    this.#failures = 0;
  }

  #connect(): void {
    const socket = new WebSocket(this.#options.url, {
      perMessageDeflate: false,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      maxPayload: MAX_MESSAGE_BYTES,
    });
    this.#socket = socket;
    this.#lastPingMs = this.#options.clock.monotonicMs();
    this.#options.onConnecting();
    socket.on("open", () => this.#options.onOpen());
    socket.on("message", (data) => this.#options.onMessage(parseJson(data)));
    socket.on("error", (error) => this.#options.onError(error.message));
    socket.on("close", () => void this.#reconnect(socket));
  }

  async #reconnect(socket: WebSocket): Promise<void> {
    const { signal } = this.#ended;
    if (signal.aborted || socket !== this.#socket) return;
    const longest = Math.min(RETRY_MIN_MS * 2 ** Math.min(this.#failures, 10), RETRY_MAX_MS);
    this.#failures += 1;
    const delayMs = longest * (0.5 + this.#options.random() / 2);
    this.#options.onClosed(delayMs);
    await this.#options.clock.sleep(delayMs, signal);
    if (!signal.aborted) this.#connect();
  }

  #check(): void {
    if (!this.isOpen) return;
    if (this.#options.check() === "dead") {
      this.drop();
      return;
    }
    const now = this.#options.clock.monotonicMs();
    if (now - this.#lastPingMs < PING_EVERY_MS) return;
    this.#lastPingMs = now;
    this.send({ op: "ping" });
  }
}

function parseJson(data: RawData): unknown {
  try {
    // Text frames arrive as one Buffer.
    return Buffer.isBuffer(data) ? JSON.parse(data.toString("utf8")) : undefined;
  } catch {
    return undefined;
  }
}
