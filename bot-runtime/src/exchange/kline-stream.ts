import * as z from "zod";
import type { Timeframe } from "@tradingbots/crds";
import type { Log } from "../bot/log.ts";
import type { Clock } from "../clock.ts";
import { price } from "../money.ts";
import { BybitSocket } from "./bybit-socket.ts";
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

/** Bybit sends a candle at least once a minute. Ping and pong may go on while candles do not: only candles count. */
const SILENT_AFTER_MS = 75_000;
/** A topic that stays silent beside others is subscribed anew, then given a new connection, then only subscribed anew. */
const RENEWALS_BEFORE_RECONNECT = 1;
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
  readonly #socket: BybitSocket;
  readonly #arrivals = new Map<string, number>();
  #topics = new Map<string, Followed>();

  constructor(options: KlineStreamOptions) {
    const { log, clock, random } = options;
    this.#options = options;
    const url = new URL(options.url);
    // An address without a path is a host: the stream is where Bybit has it.
    if (url.pathname === "/") url.pathname = PUBLIC_PATH;
    this.#socket = new BybitSocket({
      url: url.href,
      clock,
      random,
      onConnecting: () => {
        for (const topic of this.#topics.values()) topic.quietSinceMs = clock.monotonicMs();
      },
      onOpen: () => this.#send("subscribe", [...this.#topics.keys()]),
      onMessage: (message) => this.#receive(message),
      onError: (message) => log.warn("stream-error", { message }),
      onClosed: (retryInMs) => log.warn("stream-closed", { retryInMs: Math.round(retryInMs) }),
      check: () => this.#bringBackSilent(clock.monotonicMs()),
    });
  }

  start(): void {
    this.#socket.start();
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
    this.#socket.close();
  }

  #bringBackSilent(now: number): "alive" | "dead" {
    const silent = [...this.#topics].filter(
      ([, { quietSinceMs }]) => now - quietSinceMs > SILENT_AFTER_MS,
    );
    if (silent.length === 0) return "alive";
    const isAll = silent.length === this.#topics.size;
    const isLasting = silent.some(([, { renewals }]) => renewals === RENEWALS_BEFORE_RECONNECT);
    this.#options.log.warn("stream-silent", { topics: silent.map(([topic]) => topic), isAll });
    for (const [, topic] of silent) {
      topic.quietSinceMs = now;
      topic.renewals += 1;
    }
    if (isAll || isLasting) return "dead";
    const topics = silent.map(([topic]) => topic);
    this.#send("unsubscribe", topics);
    this.#send("subscribe", topics);
    return "alive";
  }

  /** Each topic by itself: Bybit refuses a request as a whole when it does not know one of its topics. */
  #send(op: "subscribe" | "unsubscribe", topics: readonly string[]): void {
    for (const topic of topics) this.#socket.send({ op, args: [topic] });
  }

  #receive(parsed: unknown): void {
    const message = Message.safeParse(parsed);
    // Answers to subscribe and ping have no topic.
    if (!message.success) return;
    const topic = this.#topics.get(message.data.topic);
    if (topic === undefined) return;
    const { symbol } = topic;
    this.#socket.proven();
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
