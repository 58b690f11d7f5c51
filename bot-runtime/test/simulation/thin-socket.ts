import { ownWires, type StreamWire } from "./wires.ts";

type Listener = (data: Buffer) => void;

/** Stands where the bot's bundle has `ws`: as much of its WebSocket as the bot's streams use, over a wire of the simulation. */
export class WebSocket {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSING = 2;
  static readonly CLOSED = 3;
  readyState: number = WebSocket.CONNECTING;
  readonly #listeners = new Map<string, Listener[]>();
  readonly #wire: StreamWire;

  constructor(url: string) {
    this.#wire = ownWires().openStream(url, {
      onOpen: () => {
        this.readyState = WebSocket.OPEN;
        this.#emit("open");
      },
      onMessage: (text) => this.#emit("message", text),
      onClose: () => this.#close(),
    });
  }

  on(event: string, listener: Listener): this {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
    return this;
  }

  once(event: string, listener: Listener): this {
    return this.on(event, listener);
  }

  send(text: string): void {
    this.#wire.send(text);
  }

  terminate(): void {
    this.#wire.terminate();
    this.#close();
  }

  close(): void {
    this.terminate();
  }

  #close(): void {
    if (this.readyState === WebSocket.CLOSED) return;
    this.readyState = WebSocket.CLOSED;
    this.#emit("close");
  }

  #emit(event: string, text = ""): void {
    for (const listener of this.#listeners.get(event) ?? []) listener(Buffer.from(text));
  }
}
