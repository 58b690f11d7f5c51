import { type RawData, WebSocket } from "ws";
import * as z from "zod";
import type { Timeframe } from "@tradingbots/crds";
import type { Log } from "../bot/log.ts";
import type { Clock } from "../clock.ts";
import { price } from "../money.ts";
import { bybitInterval, bybitSymbol } from "./bybit-names.ts";
import type { Candle } from "./exchange.ts";

/** A candle as the stream shows it. */
export interface StreamedCandle {
  readonly symbol: string;
  readonly candle: Candle;
  readonly closed: boolean;
  /** When the exchange sent it, by its own clock: a message may have waited on its way for a minute. */
  readonly sentAtMs: number;
}

export interface StreamTopic {
  readonly symbol: string;
  readonly timeframe: Timeframe;
}

export interface KlineStreamOptions {
  readonly url: string;
  readonly onCandle: (candle: StreamedCandle) => void;
  readonly log: Log;
  readonly clock: Pick<Clock, "monotonicMs" | "sleep" | "every">;
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
/** A topic that stays silent beside others is subscribed anew, then given a new connection, then only subscribed anew. */
const RENEWALS_BEFORE_RECONNECT = 1;
const MAX_MESSAGE_BYTES = 256 * 1_024;
const PUBLIC_PATH = "/v5/public/linear";

const Decimal = z.string().regex(/^[0-9]+(\.[0-9]+)?$/);
const Message = z.object({
  topic: z.string(),
  ts: z.int(),
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

interface Followed {
  readonly symbol: string;
  /** When something of it was last heard or last asked for. */
  quietSinceMs: number;
  /** How often it was asked for again since it was last heard. */
  renewals: number;
}

/**
 * Bybit's public linear kline stream: reconnects by itself and knows how old each symbol's last message is. A connection whose
 * pings are answered may be dead for all topics, or for one: each is watched, and brought back.
 */
export class KlineStream {
  readonly #options: KlineStreamOptions;
  readonly #url: string;
  readonly #arrivals = new Map<string, number>();
  readonly #ended = new AbortController();
  #topics = new Map<string, Followed>();
  #socket: WebSocket | undefined;
  #stopWatching: () => void = () => undefined;
  #failures = 0;
  #lastPingMs = 0;

  constructor(options: KlineStreamOptions) {
    this.#options = options;
    const url = new URL(options.url);
    // An address without a path is a host: the stream is where Bybit has it.
    if (url.pathname === "/") url.pathname = PUBLIC_PATH;
    this.#url = url.href;
  }

  start(): void {
    this.#connect();
    this.#stopWatching = this.#options.clock.every(WATCH_EVERY_MS, () => this.#check());
  }

  /** Follows exactly these candles from now on. */
  follow(topics: readonly StreamTopic[]): void {
    const quietSinceMs = this.#options.clock.monotonicMs();
    const wanted = new Map(
      topics.map((topic) => {
        const name = topicName(topic);
        const fresh = { symbol: topic.symbol, quietSinceMs, renewals: 0 };
        return [name, this.#topics.get(name) ?? fresh];
      }),
    );
    const gone = [...this.#topics.keys()].filter((topic) => !wanted.has(topic));
    const added = [...wanted.keys()].filter((topic) => !this.#topics.has(topic));
    this.#topics = wanted;
    this.#send("unsubscribe", gone);
    this.#send("subscribe", added);
  }

  /** Age of the symbol's last message by arrival; undefined before the first. */
  ageMs(symbol: string): number | undefined {
    const arrival = this.#arrivals.get(symbol);
    return arrival === undefined ? undefined : this.#options.clock.monotonicMs() - arrival;
  }

  close(): void {
    this.#ended.abort();
    this.#stopWatching();
    this.#socket?.terminate();
  }

  #connect(): void {
    const socket = new WebSocket(this.#url, {
      perMessageDeflate: false,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      maxPayload: MAX_MESSAGE_BYTES,
    });
    this.#socket = socket;
    this.#lastPingMs = this.#options.clock.monotonicMs();
    for (const topic of this.#topics.values()) topic.quietSinceMs = this.#lastPingMs;
    socket.on("open", () => this.#send("subscribe", [...this.#topics.keys()]));
    socket.on("message", (data) => this.#receive(data));
    socket.on("error", (error) =>
      this.#options.log.warn("stream-error", { message: error.message }),
    );
    socket.on("close", () => void this.#reconnect(socket));
  }

  async #reconnect(socket: WebSocket): Promise<void> {
    const { signal } = this.#ended;
    if (signal.aborted || socket !== this.#socket) return;
    const longest = Math.min(RETRY_MIN_MS * 2 ** Math.min(this.#failures, 10), RETRY_MAX_MS);
    this.#failures += 1;
    const delayMs = longest * (0.5 + this.#options.random() / 2);
    this.#options.log.warn("stream-closed", { retryInMs: Math.round(delayMs) });
    await this.#options.clock.sleep(delayMs, signal);
    if (!signal.aborted) this.#connect();
  }

  #check(): void {
    const now = this.#options.clock.monotonicMs();
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    if (this.#bringBackSilent(now) === "reconnected") return;
    if (now - this.#lastPingMs < PING_EVERY_MS) return;
    this.#lastPingMs = now;
    this.#socket.send(JSON.stringify({ op: "ping" }));
  }

  #bringBackSilent(now: number): "reconnected" | undefined {
    const silent = [...this.#topics].filter(
      ([, { quietSinceMs }]) => now - quietSinceMs > SILENT_AFTER_MS,
    );
    if (silent.length === 0) return undefined;
    const isAll = silent.length === this.#topics.size;
    const isLasting = silent.some(([, { renewals }]) => renewals === RENEWALS_BEFORE_RECONNECT);
    this.#options.log.warn("stream-silent", { topics: silent.map(([topic]) => topic), isAll });
    for (const [, topic] of silent) {
      topic.quietSinceMs = now;
      topic.renewals += 1;
    }
    if (isAll || isLasting) {
      this.#socket?.terminate();
      return "reconnected";
    }
    const topics = silent.map(([topic]) => topic);
    this.#send("unsubscribe", topics);
    this.#send("subscribe", topics);
    return undefined;
  }

  #send(op: "subscribe" | "unsubscribe", topics: readonly string[]): void {
    if (topics.length === 0 || this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#socket.send(JSON.stringify({ op, args: topics }));
  }

  #receive(data: RawData): void {
    const message = Message.safeParse(parseJson(data));
    // Answers to subscribe and ping have no topic.
    if (!message.success) return;
    const topic = this.#topics.get(message.data.topic);
    if (topic === undefined) return;
    const { symbol } = topic;
    this.#failures = 0;
    topic.quietSinceMs = this.#options.clock.monotonicMs();
    topic.renewals = 0;
    this.#arrivals.set(symbol, topic.quietSinceMs);
    const { data: candles, ts: sentAtMs } = message.data;
    for (const { start, confirm, ...prices } of candles) {
      const candle: Candle = {
        openTimeMs: start,
        open: price(prices.open),
        high: price(prices.high),
        low: price(prices.low),
        close: price(prices.close),
      };
      this.#options.onCandle({ symbol, candle, closed: confirm, sentAtMs });
    }
  }
}

/** `kline.1.BTCUSDT` for BTC/USDT:USDT at 1m. */
function topicName({ symbol, timeframe }: StreamTopic): string {
  return `kline.${bybitInterval(timeframe)}.${bybitSymbol(symbol)}`;
}

function parseJson(data: RawData): unknown {
  try {
    // Text frames arrive as one Buffer.
    return Buffer.isBuffer(data) ? JSON.parse(data.toString("utf8")) : undefined;
  } catch {
    return undefined;
  }
}
