import { createHmac } from "node:crypto";
import * as z from "zod";
import type { Log } from "../bot/log.ts";
import type { Clock } from "../clock.ts";
import { BybitSocket } from "./bybit-socket.ts";
import type { ExchangeKeyValues } from "./exchange.ts";

export interface OrderStreamOptions {
  readonly url: string;
  readonly key: ExchangeKeyValues;
  /** Something happened to orders or position of the symbol; undefined: anything may have, unheard. */
  readonly onHint: (symbol: string | undefined) => void;
  readonly log: Log;
  readonly clock: Omit<Clock, "after">;
  /** This machine's clock less the exchange's, ms; undefined while it is not known. */
  readonly skewMs: () => number | undefined;
  /** 0–1: spreads the reconnections of many bots. */
  readonly random: () => number;
}

const TOPICS = ["order", "execution", "position"];
/** Two pings without any answer: the connection is dead, whatever the socket says. */
const SILENT_AFTER_MS = 45_000;
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
  readonly #socket: BybitSocket;
  #subscribed = false;
  #heardMs = 0;

  constructor(options: OrderStreamOptions) {
    const { url, key, log, clock, random } = options;
    this.#options = options;
    this.#socket = new BybitSocket({
      url,
      clock,
      random,
      onConnecting: () => {
        this.#subscribed = false;
        this.#heardMs = clock.monotonicMs();
      },
      onOpen: () => this.#socket.send(this.#authentication()),
      onMessage: (message) => this.#receive(message),
      onError: (message) => log.warn("order-stream-error", { message: key.scrub(message) }),
      onClosed: () => (this.#subscribed = false),
      check: () => this.#check(),
    });
  }

  /** Connected, let in, subscribed, and answering. */
  get alive(): boolean {
    return this.#socket.isOpen && this.#subscribed && this.#silentMs <= SILENT_AFTER_MS;
  }

  get #silentMs(): number {
    return this.#options.clock.monotonicMs() - this.#heardMs;
  }

  start(): void {
    this.#socket.start();
  }

  close(): void {
    this.#socket.close();
  }

  #authentication() {
    const { apiKey, apiSecret } = this.#options.key.reveal();
    const expires = this.#options.clock.nowMs() - (this.#options.skewMs() ?? 0) + AUTH_WINDOW_MS;
    const signature = createHmac("sha256", apiSecret).update(`GET/realtime${expires}`);
    return { op: "auth", args: [apiKey, `${expires}`, signature.digest("hex")] };
  }

  #check(): "alive" | "dead" {
    const silentMs = this.#silentMs;
    if (silentMs <= SILENT_AFTER_MS) return "alive";
    this.#options.log.warn("order-stream-silent", { forMs: Math.round(silentMs) });
    return "dead";
  }

  #receive(parsed: unknown): void {
    this.#heardMs = this.#options.clock.monotonicMs();
    const message = Message.safeParse(parsed).data;
    if (message === undefined) return;
    if (message.topic === undefined) this.#answered(message);
    else if (TOPICS.includes(message.topic)) this.#hint(message);
  }

  #answered({ op, success, ret_msg: said }: Message): void {
    if (op !== "auth" && op !== "subscribe") return;
    if (success !== true) {
      this.#options.log.warn("order-stream-refused", { op, message: said ?? "" });
      this.#socket.drop();
    } else if (op === "auth") {
      this.#socket.send({ op: "subscribe", args: TOPICS });
    } else {
      this.#subscribed = true;
      this.#socket.proven();
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
