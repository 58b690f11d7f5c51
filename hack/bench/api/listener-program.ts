import { randomInt } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { readFrames } from "./server-frames.ts";

/**
 * Listens by WebSocket as a client should: it remembers the last id, and whoever is cut off comes back after a while that nobody else
 * chose and names it. Opens as many as its parent says, and tells what it heard when it is asked.
 */
const Settings = z.object({
  port: z.int(),
  address: z.ipv4(),
  tokens: z.array(z.string()).min(1),
});
const Command = z.object({ open: z.int().optional() });
const { port, address, tokens } = Settings.parse(
  JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")),
);
const AT_ONCE = 100;
/** As the description of the route says. */
const BACK_WITHIN_MS = 10_000;

interface Listener {
  readonly token: string;
  lastId: number;
}

let opened = 0;
let isListening = 0;
/** Ids that did not follow the one before. */
let gaps = 0;
let latenciesMs: number[] = [];

async function open(listener: Listener): Promise<void> {
  const socket = connect({ port, host: "127.0.0.1", localAddress: address });
  socket.on("error", () => socket.destroy()); // the server may die at any moment
  await once(socket, "connect");
  socket.write(
    `GET /api/events?lastEventId=${listener.lastId} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nauthorization: Bearer ${listener.token}\r\n\r\n`,
  );
  const rest = await afterHead(socket);
  isListening += 1;
  hear(socket, { listener, rest });
  socket.on("close", () => {
    isListening -= 1;
    void comeBack(listener);
  });
}

async function comeBack(listener: Listener): Promise<void> {
  for (;;) {
    await sleep(randomInt(BACK_WITHIN_MS));
    const isOpen = await open(listener).then(
      () => true,
      () => false,
    );
    if (isOpen) return;
  }
}

/** What came together with the answer's head. */
async function afterHead(socket: Socket): Promise<Buffer> {
  const bytes = await new Promise<Buffer>((resolve, reject) => {
    socket.once("data", resolve);
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("closed before it was answered")));
  });
  const end = bytes.indexOf("\r\n\r\n");
  const isOpen = bytes.toString("latin1", 0, 13) === "HTTP/1.1 101 ";
  if (isOpen && end > 0) return bytes.subarray(end + 4);
  socket.destroy();
  throw new Error(bytes.toString());
}

function hear(socket: Socket, heard: { readonly listener: Listener; rest: Buffer }): void {
  const take = (bytes: Buffer): void => {
    const { frames, rest } = readFrames(Buffer.concat([heard.rest, bytes]));
    heard.rest = rest;
    for (const { kind, text } of frames) {
      if (kind === "ping") socket.write(Buffer.from([0x8a, 0x80, 0, 0, 0, 0])); // a pong, masked with zeros
      if (kind === "text") note(heard.listener, text);
    }
  };
  take(Buffer.alloc(0));
  socket.on("data", take);
}

function note(listener: Listener, text: string): void {
  const id = Number(/^\{"id":"(\d+)"/.exec(text)?.[1]);
  if (id !== listener.lastId + 1) gaps += 1;
  listener.lastId = id;
  const openedAt = /"openedAt": ?"([^"]+)"/.exec(text)?.[1];
  if (openedAt !== undefined) latenciesMs.push(Date.now() - Date.parse(openedAt));
}

async function openMore(count: number): Promise<void> {
  for (let done = 0; done < count; done += AT_ONCE) {
    const these = Array.from({ length: Math.min(AT_ONCE, count - done) }, () => {
      opened += 1;
      return open({ token: tokens[opened % tokens.length] ?? "", lastId: 0 });
    });
    await Promise.all(these);
  }
}

async function obey(message: unknown): Promise<void> {
  await openMore(Command.parse(message).open ?? 0);
  process.send?.({ latenciesMs, gaps, isListening });
  latenciesMs = [];
}

process.on("message", (message) => void obey(message));
process.on("disconnect", () => process.exit());
process.send?.({ ready: true });
