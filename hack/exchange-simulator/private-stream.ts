import type { Account, AccountEvent } from "./account.ts";
import type { ServerClock } from "./clock.ts";
import type { ApiKey, Exchange } from "./exchange.ts";
import type { Faults } from "./faults.ts";
import { presentSight } from "./late-positions.ts";
import { walletView } from "./rest/account-endpoints.ts";
import { executionView, orderView } from "./rest/order-view.ts";
import { positionView } from "./rest/position-endpoints.ts";
import { streamKey } from "./signature.ts";
import { type Operation, parseOperation } from "./stream-operation.ts";
import { StreamOutlet, type StreamSession, type StreamSocket } from "./stream-outlet.ts";

const topics: readonly string[] = [
  "order",
  "order.linear",
  "execution",
  "execution.linear",
  "position",
  "position.linear",
  "wallet",
];

interface StreamParts {
  readonly exchange: () => Exchange;
  readonly clock: ServerClock;
  readonly faults: Faults;
  /** A new connection's or message's id. */
  readonly newId: () => string;
}

interface Reader {
  readonly socket: StreamSocket;
  readonly connectionId: string;
  readonly topics: Set<string>;
  /** After a successful auth. */
  key: ApiKey | undefined;
}

/**
 * The private stream: op auth, subscribe, unsubscribe and ping; topics order, execution, position and wallet, or order.linear and
 * so on. Every change is a message of its own, in the order in which it happened: a fill is an execution, then position, wallet,
 * and the order as it stands after it (https://bybit-exchange.github.io/docs/v5/websocket/private/order and its neighbours).
 */
export class PrivateStream {
  readonly #parts: StreamParts;
  readonly #outlet: StreamOutlet;
  readonly #readers = new Set<Reader>();

  constructor(parts: StreamParts) {
    this.#parts = parts;
    this.#outlet = new StreamOutlet("private", parts.faults);
  }

  open(socket: StreamSocket): StreamSession {
    const connectionId = this.#parts.newId();
    const reader: Reader = { socket, connectionId, topics: new Set(), key: undefined };
    this.#readers.add(reader);
    return {
      receive: (text) => socket.send(JSON.stringify(this.#reply(reader, parseOperation(text)))),
      close: () => {
        this.#readers.delete(reader);
      },
    };
  }

  /** Tells the account's readers of a change. */
  publish(account: Account, event: AccountEvent): void {
    for (const reader of this.#readers) {
      const { key, socket } = reader;
      if (key?.account !== account || this.#isRevoked(key)) continue;
      const topic = [event.kind, `${event.kind}.linear`].find((name) => reader.topics.has(name));
      if (topic === undefined) continue;
      const text = this.#message(topic, account, event);
      this.#outlet.send(socket, { topic, text, apiKey: key.apiKey });
    }
  }

  #isRevoked({ apiKey }: ApiKey): boolean {
    return this.#parts.exchange().findKey(apiKey)?.revoked ?? true;
  }

  #message(topic: string, account: Account, event: AccountEvent): string {
    const data = [dataOf(account, event, this.#parts.exchange())];
    const creationTime = this.#parts.clock.now();
    return JSON.stringify({ id: this.#parts.newId(), topic, creationTime, data });
  }

  #reply(reader: Reader, operation: Operation | undefined): object {
    const { connectionId: conn_id } = reader;
    if (operation === undefined) {
      return { success: false, ret_msg: "error:json decode failed", conn_id, req_id: "", op: "" };
    }
    const { op, req_id } = operation;
    // https://bybit-exchange.github.io/docs/v5/ws/connect: private channels answer a ping with an op pong.
    if (op === "ping") return { req_id, op: "pong", args: [`${this.#parts.clock.now()}`], conn_id };
    const error = this.#perform(reader, operation);
    return { success: error === undefined, ret_msg: error ?? "", conn_id, req_id, op };
  }

  /** Gives back an error message when the operation is refused, as a whole. */
  #perform(reader: Reader, { op, args }: Operation): string | undefined {
    if (op === "auth") return this.#authenticate(reader, args);
    if (op !== "subscribe" && op !== "unsubscribe") return `error:unknown op ${op}`;
    if (reader.key === undefined) return "Request not authorized";
    const unknown = args.find((topic) => !topics.includes(topic));
    if (unknown !== undefined) return `error:handler not found,topic:${unknown}`;
    for (const topic of args) {
      if (op === "subscribe") reader.topics.add(topic);
      else reader.topics.delete(topic);
    }
    return undefined;
  }

  #authenticate(reader: Reader, args: readonly string[]): string | undefined {
    const [apiKey = "", expires = "", signature = ""] = args;
    const { exchange, clock } = this.#parts;
    reader.key = streamKey({ apiKey, expires, signature }, exchange(), clock.now());
    // What Bybit answers to a wrong signature and to an expiry in the past alike: https://github.com/bybit-exchange/pybit/issues/300
    return reader.key === undefined ? "Params Error" : undefined;
  }
}

function dataOf(account: Account, event: AccountEvent, exchange: Exchange): object {
  const category = "linear";
  switch (event.kind) {
    case "order":
      return { ...orderView(event.order), category, feeCurrency: "" };
    case "execution": {
      const { realisedPnl } = event.execution;
      return { ...executionView(event.execution), category, execPnl: realisedPnl.toFixed() };
    }
    case "position": {
      const sight = presentSight(account, event.symbol);
      const { avgPrice, ...view } = positionView(account, sight, exchange);
      return { ...view, category, entryPrice: avgPrice };
    }
    case "wallet":
      return walletView(account, exchange);
    default:
      return event satisfies never;
  }
}
