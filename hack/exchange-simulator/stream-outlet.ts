import type { Faults } from "./faults.ts";

/** One connected reader of a stream, over a WebSocket or in the same process. */
export interface StreamSocket {
  /** `lateMs`: how long it is held up; what follows waits behind it, as on any connection. */
  readonly send: (text: string, lateMs?: number) => void;
  /** Breaks the connection without a farewell. */
  readonly reset: () => void;
}

/** The server's side of one connection. */
export interface StreamSession {
  /** A message from the reader. */
  readonly receive: (text: string) => void;
  /** The connection is over. */
  readonly close: () => void;
}

export interface StreamMessage {
  readonly topic: string;
  readonly text: string;
  /** Whose data it is; absent on the public stream. */
  readonly apiKey?: string;
}

/** The way of a stream's messages to its readers, faults included. Answers to operations do not take it. */
export class StreamOutlet {
  readonly #stream: "public" | "private";
  readonly #faults: Faults;
  readonly #heldBack = new WeakMap<StreamSocket, readonly string[]>();

  constructor(stream: "public" | "private", faults: Faults) {
    this.#stream = stream;
    this.#faults = faults;
  }

  send(socket: StreamSocket, { text, ...occasion }: StreamMessage): void {
    const fault = this.#faults.take({ stream: this.#stream, ...occasion });
    const kind = fault?.kind;
    if (kind === "silence") return;
    if (kind === "reset") {
      socket.reset();
      return;
    }
    if (kind === "reorder") {
      this.#heldBack.set(socket, [...(this.#heldBack.get(socket) ?? []), text]);
      return;
    }
    socket.send(text, fault?.kind === "delay" ? fault.ms : 0);
    if (kind === "duplicate") socket.send(text);
    for (const held of this.#heldBack.get(socket) ?? []) socket.send(held);
    this.#heldBack.delete(socket);
  }
}
