import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import type { Log } from "../bot/log.ts";
import { systemClock } from "../clock.ts";
import { KlineStream, type StreamedCandle } from "./kline-stream.ts";

const quiet: Log = { info: () => {}, warn: () => {}, error: () => {} };
const SYMBOL = "BTC/USDT:USDT";
const TOPIC = "kline.1.BTCUSDT";

let server: WebSocketServer | undefined;
let stream: KlineStream | undefined;
afterEach(() => {
  stream?.close();
  for (const client of server?.clients ?? []) client.terminate();
  server?.close();
});

/** A stream to a server that hands out its connections and keeps what they were asked. */
async function connect() {
  const created = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  server = created;
  await new Promise((resolve) => created.once("listening", resolve));
  const clients: WebSocket[] = [];
  const asked: string[] = [];
  created.on("connection", (client) => {
    clients.push(client);
    client.on("message", (data) => {
      const text = Buffer.isBuffer(data) ? data.toString("utf8") : "";
      if (!text.includes("ping")) asked.push(text);
    });
  });
  const address = created.address();
  if (address === null || typeof address === "string") throw new Error("not a TCP server");
  const seen: StreamedCandle[] = [];
  let now = 0;
  stream = new KlineStream({
    url: `ws://127.0.0.1:${address.port}`,
    onCandle: (candle) => seen.push(candle),
    log: quiet,
    clock: {
      monotonicMs: () => now,
      sleep: systemClock.sleep,
      every: (_ms, run) => systemClock.every(10, run),
    },
    random: () => 0,
  });
  stream.follow([{ symbol: SYMBOL, timeframe: "1m" }]);
  stream.start();
  await until(() => asked.length === 1);
  return { stream, clients, asked, seen, pass: (ms: number) => (now += ms) };
}

async function until(holds: () => boolean): Promise<void> {
  for (let looks = 0; looks < 500 && !holds(); looks += 1) await sleep(10);
  expect(holds()).toBe(true);
}

const message = (topic: string, confirm: boolean) =>
  JSON.stringify({
    topic,
    ts: 61_000,
    data: [{ start: 60_000, open: "1.5", high: "2", low: "1", close: "1.75", confirm }],
  });

test("follows, parses exactly, and knows the age of what arrived", async () => {
  const it = await connect();
  expect(JSON.parse(it.asked[0] ?? "")).toEqual({ op: "subscribe", args: [TOPIC] });
  expect(it.stream.ageMs(SYMBOL)).toBeUndefined();
  it.clients[0]?.send("not JSON");
  it.clients[0]?.send(message("kline.1.ETHUSDT", true));
  it.clients[0]?.send(message(TOPIC, true));
  await until(() => it.seen.length === 1);
  expect(it.seen[0]).toMatchObject({ symbol: SYMBOL, closed: true, sentAtMs: 61_000 });
  expect(it.seen[0]?.candle.close.toFixed()).toBe("1.75");
  it.pass(1_234);
  expect(it.stream.ageMs(SYMBOL)).toBe(1_234);
});

test("comes back after a broken connection with what it followed", async () => {
  const it = await connect();
  it.clients[0]?.terminate();
  await until(() => it.asked.length === 2);
  expect(JSON.parse(it.asked[1] ?? "")).toEqual({ op: "subscribe", args: [TOPIC] });
});

test("a connection that answers pings but sends no candles is given up", async () => {
  const it = await connect();
  it.pass(76_000);
  await until(() => it.clients.length === 2);
  expect(it.clients[0]?.readyState).not.toBe(it.clients[1]?.readyState);
});

const OTHER = "kline.1.ETHUSDT";
const said = (asked: readonly string[]): readonly unknown[] =>
  asked.map((text): unknown => JSON.parse(text));

test("one topic that is silent beside others is subscribed anew, then gets one new connection", async () => {
  const it = await connect();
  it.stream.follow([
    { symbol: SYMBOL, timeframe: "1m" },
    { symbol: "ETH/USDT:USDT", timeframe: "1m" },
  ]);
  await until(() => it.asked.length === 2);
  /** The first topic goes on, the other one is silent for longer than allowed. */
  const otherFallsSilent = async () => {
    const heard = it.seen.length;
    it.pass(70_000);
    for (const client of it.clients) client.send(message(TOPIC, false));
    await until(() => it.seen.length > heard);
    it.pass(6_000);
  };
  await otherFallsSilent();
  await until(() => it.asked.length === 4);
  expect(said(it.asked.slice(2))).toEqual([
    { op: "unsubscribe", args: [OTHER] },
    { op: "subscribe", args: [OTHER] },
  ]);
  expect(it.clients.length).toBe(1);
  await otherFallsSilent();
  await until(() => it.asked.length === 6);
  expect(it.clients.length).toBe(2);
  // Each by itself: of several topics in one request an unknown one has all refused.
  expect(said(it.asked.slice(4))).toEqual([
    { op: "subscribe", args: [TOPIC] },
    { op: "subscribe", args: [OTHER] },
  ]);
  await otherFallsSilent();
  await until(() => it.asked.length === 8);
  expect(it.clients.length).toBe(2);
  expect(it.stream.ageMs(SYMBOL)).toBe(6_000);
  expect(it.stream.ageMs("ETH/USDT:USDT")).toBeUndefined();
});

test("a changed choice is asked for, and only the change", async () => {
  const it = await connect();
  it.stream.follow([{ symbol: "ETH/USDT:USDT", timeframe: "5m" }]);
  await until(() => it.asked.length === 3);
  expect(it.asked.slice(1).map((text): unknown => JSON.parse(text))).toEqual([
    { op: "unsubscribe", args: [TOPIC] },
    { op: "subscribe", args: ["kline.5.ETHUSDT"] },
  ]);
});
