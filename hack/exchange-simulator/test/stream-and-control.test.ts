import { once } from "node:events";
import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import { type ExchangeSimulator, startExchangeSimulator } from "../server.ts";
import { clientOf, KEY, MINUTE_MS, REPLAY_START_MS, startScripted, SYMBOL } from "./simulator.ts";

let simulator: ExchangeSimulator;

afterEach(() => simulator.close());

interface Message {
  readonly topic?: string;
  readonly op?: string;
  readonly [field: string]: unknown;
}

async function connect() {
  const socket = new WebSocket(simulator.websocketUrl, { perMessageDeflate: false });
  const messages: Message[] = [];
  socket.on("message", (data: Buffer) => messages.push(JSON.parse(data.toString("utf8"))));
  await once(socket, "open");
  async function received(count: number): Promise<readonly Message[]> {
    while (messages.length < count) await once(socket, "message");
    return messages.splice(0, count);
  }
  const send = (message: object): void => socket.send(JSON.stringify(message));
  return { socket, send, received };
}

test("klines arrive when a candle opens and, confirmed, when it closes", async () => {
  simulator = await startScripted([["2500.00", "2510.00", "2490.00", "2505.00"]]);
  const { send, received, socket } = await connect();
  expect(socket.extensions).toBe("");
  send({ op: "subscribe", req_id: "1", args: ["kline.1.ETHUSDT", "kline.5.ETHUSDT"] });
  expect(await received(1)).toMatchObject([{ success: true, op: "subscribe", req_id: "1" }]);

  simulator.control.step();
  const messages = await received(4);
  const common = { start: REPLAY_START_MS, interval: "1", open: "2500.00" };
  expect(messages.map(({ topic }) => topic)).toEqual([
    "kline.1.ETHUSDT",
    "kline.5.ETHUSDT",
    "kline.1.ETHUSDT",
    "kline.5.ETHUSDT",
  ]);
  expect(messages[0]).toMatchObject({
    type: "snapshot",
    data: [{ ...common, high: "2500.00", low: "2500.00", close: "2500.00", confirm: false }],
  });
  expect(Math.abs(Number(messages[2]?.["ts"]) - Date.now())).toBeLessThan(10_000);
  expect(messages[2]).toMatchObject({
    topic: "kline.1.ETHUSDT",
    type: "snapshot",
    data: [
      {
        ...common,
        end: REPLAY_START_MS + MINUTE_MS - 1,
        high: "2510.00",
        low: "2490.00",
        close: "2505.00",
        volume: "1.25",
        turnover: "3131.25",
        confirm: true,
        timestamp: REPLAY_START_MS + MINUTE_MS - 1,
      },
    ],
  });
  expect(messages[3]).toMatchObject({ data: [{ interval: "5", confirm: false, volume: "1.25" }] });
});

test.for<[name: string, message: object, answer: object]>([
  [
    "ping",
    { op: "ping", req_id: "9" },
    { success: true, ret_msg: "pong", op: "ping", req_id: "9" },
  ],
  [
    "unknown symbols",
    { op: "subscribe", args: ["kline.1.XRPUSDT"] },
    { success: false, ret_msg: "error:handler not found,topic:kline.1.XRPUSDT" },
  ],
  ["unknown intervals", { op: "subscribe", args: ["kline.7.ETHUSDT"] }, { success: false }],
  ["other topics", { op: "subscribe", args: ["tickers.ETHUSDT"] }, { success: false }],
  ["unknown operations", { op: "auth" }, { success: false }],
  ["no object", [1], { success: false }],
])("the stream answers %s", async ([, message, answer]) => {
  simulator = await startScripted([]);
  const { send, received } = await connect();
  send(message);
  expect((await received(1))[0]).toMatchObject(answer);
});

test("no other path is upgraded", async () => {
  simulator = await startScripted([]);
  const socket = new WebSocket(simulator.websocketUrl.replace("linear", "spot"));
  await expect(once(socket, "open")).rejects.toThrow("404");
});

test("an unsubscribed topic falls silent", async () => {
  simulator = await startScripted([]);
  const { send, received } = await connect();
  send({ op: "subscribe", args: ["kline.1.ETHUSDT"] });
  await received(1);
  send({ op: "unsubscribe", args: ["kline.1.ETHUSDT"] });
  await received(1);
  simulator.control.step();
  send({ op: "ping" });
  expect((await received(1))[0]).toMatchObject({ op: "ping" });
});

test("a candle that is held up comes late, and what follows it comes behind it", async () => {
  simulator = await startScripted([]);
  const { send, received } = await connect();
  send({ op: "subscribe", args: ["kline.1.ETHUSDT"] });
  await received(1);
  const fault = { kind: "delay", ms: 200 } as const;
  simulator.control.setFaults([{ match: { stream: "public" }, fault }]);
  const sentMs = performance.now();
  simulator.control.step();
  send({ op: "ping" });
  expect(await received(3)).toMatchObject([
    { data: [{ confirm: false }] },
    { data: [{ confirm: true }] },
    { op: "ping" },
  ]);
  expect(performance.now() - sentMs).toBeGreaterThanOrEqual(199);
});

async function control(method: string, path: string, body?: object) {
  const answer = await fetch(`${simulator.url}/control/${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  const parsed: unknown = text === "" ? undefined : JSON.parse(text);
  return { status: answer.status, body: parsed };
}

test("control over HTTP: keys, account, step, speed, clock", async () => {
  simulator = await startScripted([]);
  const registration = { apiKey: "http", apiSecret: "s", balance: "250.5" };
  expect(await control("POST", "keys", registration)).toMatchObject({ status: 200 });
  expect((await control("GET", "accounts/http")).body).toMatchObject({
    orders: [],
    executions: [],
    positions: [],
    wallet: { balance: "250.5", equity: "250.5" },
  });
  expect((await control("POST", "step", { candles: 3 })).body).toEqual({
    replayTime: REPLAY_START_MS + 3 * MINUTE_MS,
    candlesEmitted: 3,
    candlesRemaining: 37,
    mode: "lockstep",
    speed: "lockstep",
  });
  expect((await control("POST", "speed", { speed: 0 })).body).toMatchObject({ mode: "paused" });
  expect(await control("POST", "step", {})).toMatchObject({ status: 400 });
  expect((await control("POST", "speed", { speed: 100 })).body).toMatchObject({ mode: "running" });
  expect((await control("GET", "clock")).body).toMatchObject({ speed: 100 });
  expect((await control("DELETE", "keys/http")).status).toBe(204);
  expect((await control("DELETE", "keys/nobody")).status).toBe(404);
  expect((await control("GET", "accounts/nobody")).status).toBe(404);
});

test.for<[name: string, path: string, body: object]>([
  ["a key without secret", "keys", { apiKey: "a", balance: "1" }],
  ["a balance in words", "keys", { apiKey: "a", apiSecret: "b", balance: "much" }],
  ["a negative speed", "speed", { speed: -1 }],
  ["half a step", "step", { candles: 0.5 }],
])("control refuses %s", async ([, path, body]) => {
  simulator = await startScripted([]);
  const answer = await control("POST", path, body);
  expect(answer.status).toBe(400);
  expect(answer.body).toHaveProperty("error");
});

test("bodies above the limit are refused", async () => {
  simulator = await startScripted([]);
  expect((await control("POST", "keys", { apiKey: "x".repeat(100_000) })).status).toBe(413);
});

test("the committed candles replay to their end, stand still there and still let orders through", async () => {
  simulator = await startExchangeSimulator({ speed: "lockstep" });
  simulator.control.addKey({ ...KEY, balance: "1000" });
  const { candlesRemaining } = simulator.control.clock();
  expect(candlesRemaining).toBeGreaterThan(10_000);
  const clock = simulator.control.step(20_000);
  expect(clock).toMatchObject({ mode: "ended", candlesEmitted: candlesRemaining });
  const client = clientOf(simulator);
  await client.createOrder(SYMBOL, "market", "buy", 0.1);
  await client.createOrder(SYMBOL, "market", "sell", 0.1, undefined, { reduceOnly: true });
  await client.close();
  const account = simulator.control.account(KEY.apiKey);
  expect(account?.positions).toEqual([]);
  expect(account?.executions.map(({ price }) => price)).toEqual(["2432.71", "2432.71"]);
});
