import { type RawData, WebSocket } from "ws";
import { z } from "zod";
import type { Timeframe } from "@tradingbots/crds";
import type { Log } from "../bot/log.ts";
import { price } from "../money.ts";
import type { Candle } from "./exchange.ts";

/** A candle as the stream shows it. */
export interface StreamedCandle {
  readonly symbol: string;
  readonly candle: Candle;
  readonly closed: boolean;
}

export interface StreamTopic {
  readonly symbol: string;
  readonly timeframe: Timeframe;
}

export interface KlineStreamOptions {
  readonly url: string;
  readonly onCandle: (candle: StreamedCandle) => void;
  readonly log: Log;
  /** Monotonic clock, ms. */
  readonly nowMs: () => number;
  /** 0–1: spreads the reconnections of many bots. */
  readonly random: () => number;
}

/** Bybit closes a connection that is silent for longer. */
const PING_EVERY_MS = 20_000;
/** Bybit sends a candle at least once a minute. Ping and pong may go on while candles do not: only candles count. */
const SILENT_AFTER_MS = 75_000;
const WATCH_EVERY_MS = 1_000;
const RETRY_MIN_MS = 250;
const RETRY_MAX_MS = 15_000;
const HANDSHAKE_TIMEOUT_MS = 10_000;
const MAX_MESSAGE_BYTES = 256 * 1_024;
const PUBLIC_PATH = "/v5/public/linear";

const intervals: Readonly<Record<Timeframe, string>> = {
  "1m": "1",
  "3m": "3",
  "5m": "5",
  "15m": "15",
  "30m": "30",
  "1h": "60",
  "4h": "240",
  "1d": "D",
};

const Decimal = z.string().regex(/^[0-9]+(\.[0-9]+)?$/);
const Message = z.object({
  topic: z.string(),
  data: z.array(
    z.object({
      start: z.int(),
      open: Decimal,
      high: Decimal,
      low: Decimal,
      close: Decimal,
      confirm: z.boolean(),
    }),
  ),
});

/** Bybit's public linear kline stream: reconnects by itself and knows how old each symbol's last message is. */
export class KlineStream {
  readonly #options: KlineStreamOptions;
  readonly #url: string;
  readonly #arrivals = new Map<string, number>();
  #topics = new Map<string, string>();
  #socket: WebSocket | undefined;
  #watch: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  #failures = 0;
  #lastPingMs = 0;
  #lastCandleMs = 0;
  #closed = false;

  constructor(options: KlineStreamOptions) {
    this.#options = options;
    const url = new URL(options.url);
    // An address without a path is a host: the stream is where Bybit has it.
    if (url.pathname === "/") url.pathname = PUBLIC_PATH;
    this.#url = url.href;
  }

  start(): void {
    this.#connect();
    this.#watch = setInterval(() => this.#check(), WATCH_EVERY_MS);
  }

  /** Follows exactly these candles from now on. */
  follow(topics: readonly StreamTopic[]): void {
    const wanted = new Map(topics.map((topic) => [topicName(topic), topic.symbol]));
    const gone = [...this.#topics.keys()].filter((topic) => !wanted.has(topic));
    const added = [...wanted.keys()].filter((topic) => !this.#topics.has(topic));
    this.#topics = wanted;
    this.#send("unsubscribe", gone);
    this.#send("subscribe", added);
  }

  /** Age of the symbol's last message by arrival; undefined before the first. */
  ageMs(symbol: string): number | undefined {
    const arrival = this.#arrivals.get(symbol);
    return arrival === undefined ? undefined : this.#options.nowMs() - arrival;
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#watch);
    clearTimeout(this.#retry);
    this.#socket?.terminate();
  }

  #connect(): void {
    const socket = new WebSocket(this.#url, {
      perMessageDeflate: false,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      maxPayload: MAX_MESSAGE_BYTES,
    });
    this.#socket = socket;
    this.#lastCandleMs = this.#options.nowMs();
    this.#lastPingMs = this.#lastCandleMs;
    socket.on("open", () => this.#send("subscribe", [...this.#topics.keys()]));
    socket.on("message", (data) => this.#receive(data));
    socket.on("error", (error) =>
      this.#options.log.warn("stream-error", { message: error.message }),
    );
    socket.on("close", () => this.#reconnect(socket));
  }

  #reconnect(socket: WebSocket): void {
    if (this.#closed || socket !== this.#socket) return;
    const longest = Math.min(RETRY_MIN_MS * 2 ** Math.min(this.#failures, 10), RETRY_MAX_MS);
    this.#failures += 1;
    const delayMs = longest * (0.5 + this.#options.random() / 2);
    this.#options.log.warn("stream-closed", { retryInMs: Math.round(delayMs) });
    this.#retry = setTimeout(() => this.#connect(), delayMs);
  }

  #check(): void {
    const now = this.#options.nowMs();
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    if (this.#topics.size > 0 && now - this.#lastCandleMs > SILENT_AFTER_MS) {
      this.#options.log.warn("stream-silent", { forMs: Math.round(now - this.#lastCandleMs) });
      this.#socket.terminate();
      return;
    }
    if (now - this.#lastPingMs < PING_EVERY_MS) return;
    this.#lastPingMs = now;
    this.#socket.send(JSON.stringify({ op: "ping" }));
  }

  #send(op: "subscribe" | "unsubscribe", topics: readonly string[]): void {
    if (topics.length === 0 || this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#socket.send(JSON.stringify({ op, args: topics }));
  }

  #receive(data: RawData): void {
    const message = Message.safeParse(parseJson(data));
    // Answers to subscribe and ping have no topic.
    if (!message.success) return;
    const symbol = this.#topics.get(message.data.topic);
    if (symbol === undefined) return;
    this.#failures = 0;
    this.#lastCandleMs = this.#options.nowMs();
    this.#arrivals.set(symbol, this.#lastCandleMs);
    for (const { start, confirm, ...prices } of message.data.data) {
      const candle: Candle = {
        openTimeMs: start,
        open: price(prices.open),
        high: price(prices.high),
        low: price(prices.low),
        close: price(prices.close),
      };
      this.#options.onCandle({ symbol, candle, closed: confirm });
    }
  }
}

/** `kline.1.BTCUSDT` for BTC/USDT:USDT at 1m. */
function topicName({ symbol, timeframe }: StreamTopic): string {
  return `kline.${bybitInterval(timeframe)}.${bybitSymbol(symbol)}`;
}

/** BTCUSDT for BTC/USDT:USDT. */
export function bybitSymbol(symbol: string): string {
  const [pair = symbol] = symbol.split(":");
  return pair.replace("/", "");
}

/** Bybit's name of a timeframe. */
export function bybitInterval(timeframe: Timeframe): string {
  return intervals[timeframe];
}

function parseJson(data: RawData): unknown {
  try {
    // Text frames arrive as one Buffer.
    return Buffer.isBuffer(data) ? JSON.parse(data.toString("utf8")) : undefined;
  } catch {
    return undefined;
  }
}
