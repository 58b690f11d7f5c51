import { createHmac } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import * as z from "zod";
import type { Log } from "../bot/log.ts";
import { systemClock } from "../clock.ts";
import { OrderStream } from "./order-stream.ts";

const quiet: Log = { info: () => {}, warn: () => {}, error: () => {} };
const Question = z.object({ op: z.string(), args: z.array(z.string()).optional() });
const SKEW_MS = 60_000;
const WALL_MS = 1_750_000_000_000;

let server: WebSocketServer | undefined;
let stream: OrderStream | undefined;
afterEach(() => {
  stream?.close();
  for (const client of server?.clients ?? []) client.terminate();
  server?.close();
});

/** A stream to a server that lets everybody in and keeps what it was asked. */
async function connect() {
  const created = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  server = created;
  await new Promise((resolve) => created.once("listening", resolve));
  const clients: WebSocket[] = [];
  const asked: z.infer<typeof Question>[] = [];
  const behaviour = { letsIn: true };
  created.on("connection", (client) => {
    clients.push(client);
    client.on("message", (data) => {
      const question = Question.parse(
        JSON.parse(Buffer.isBuffer(data) ? data.toString("utf8") : "{}"),
      );
      asked.push(question);
      client.send(JSON.stringify({ op: question.op, success: behaviour.letsIn, ret_msg: "" }));
    });
  });
  const address = created.address();
  if (address === null || typeof address === "string") throw new Error("not a TCP server");
  const hints: (string | undefined)[] = [];
  let now = 0;
  stream = new OrderStream({
    url: `ws://127.0.0.1:${address.port}/v5/private`,
    key: { reveal: () => ({ apiKey: "key", apiSecret: "secret" }), scrub: (text) => text },
    onHint: (symbol) => hints.push(symbol),
    log: quiet,
    clock: {
      nowMs: () => WALL_MS,
      monotonicMs: () => now,
      sleep: (_ms, signal) => systemClock.sleep(5, signal),
      every: (_ms, run) => systemClock.every(5, run),
    },
    skewMs: () => -SKEW_MS,
    random: () => 0,
  });
  stream.start();
  return { stream, clients, asked, hints, behaviour, pass: (ms: number) => (now += ms) };
}

async function until(holds: () => boolean): Promise<void> {
  for (let looks = 0; looks < 500 && !holds(); looks += 1) await sleep(10);
  expect(holds()).toBe(true);
}

test("it signs in as Bybit asks, follows the account, and is alive only then", async () => {
  const { stream: opened, asked } = await connect();
  expect(opened.alive).toBe(false);
  await until(() => opened.alive);
  // This machine is a minute behind.
  const expires = WALL_MS + SKEW_MS + 10_000;
  const signature = createHmac("sha256", "secret").update(`GET/realtime${expires}`).digest("hex");
  expect(asked).toEqual([
    { op: "auth", args: ["key", `${expires}`, signature] },
    { op: "subscribe", args: ["order", "execution", "position"] },
  ]);
});

test("every message of the account is a hint for its symbol", async () => {
  const { stream: opened, clients, hints } = await connect();
  await until(() => opened.alive);
  hints.length = 0;
  const send = (topic: string, symbols: readonly string[]) =>
    clients[0]?.send(JSON.stringify({ topic, data: symbols.map((symbol) => ({ symbol })) }));
  send("order", ["BTCUSDT", "BTCUSDT"]);
  send("execution", ["ETHUSDT"]);
  send("wallet", ["SOLUSDT"]);
  clients[0]?.send("no json");
  send("position", ["BTCPERP"]);
  await until(() => hints.length === 3);
  expect(hints).toEqual(["BTC/USDT:USDT", "ETH/USDT:USDT", undefined]);
});

test("after a lost connection everything may have changed", async () => {
  const { stream: opened, clients, hints } = await connect();
  await until(() => opened.alive);
  hints.length = 0;
  clients[0]?.terminate();
  await until(() => clients.length === 2 && opened.alive);
  expect(hints).toEqual([undefined]);
});

test("a connection that answers nothing is not alive and is replaced", async () => {
  const { stream: opened, clients, pass } = await connect();
  await until(() => opened.alive);
  clients[0]?.removeAllListeners("message");
  pass(46_000);
  expect(opened.alive).toBe(false);
  await until(() => clients.length === 2 && opened.alive);
});

test("who is not let in is not alive and tries again", async () => {
  const { stream: opened, clients, behaviour } = await connect();
  behaviour.letsIn = false;
  await until(() => clients.length >= 3);
  expect(opened.alive).toBe(false);
  behaviour.letsIn = true;
  await until(() => opened.alive);
});
