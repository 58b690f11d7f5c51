import { createHmac } from "node:crypto";
import { once } from "node:events";
import { NetworkError } from "ccxt";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { z } from "zod";
import type { FaultRule } from "../faults.ts";
import type { ExchangeSimulator } from "../server.ts";
import {
  clientOf,
  KEY,
  type Prices,
  startScripted,
  streamingClientOf,
  SYMBOL,
} from "./simulator.ts";

const still: Prices = ["2500.00", "2500.00", "2500.00", "2500.00"];
const stopped: Prices = ["2500.00", "2500.00", "2470.00", "2480.00"];

const Message = z.looseObject({
  topic: z.string().optional(),
  op: z.string().optional(),
  success: z.boolean().optional(),
  ret_msg: z.string().optional(),
  data: z.array(z.looseObject({})).optional(),
});

let simulator: ExchangeSimulator;
const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  await simulator.close();
});

async function start(future: readonly Prices[]): Promise<void> {
  simulator = await startScripted(future);
}

function restClient() {
  const client = clientOf(simulator);
  closing.push(() => client.close());
  return client;
}

function openWithProtection(orderLinkId: string) {
  return restClient().createOrder(SYMBOL, "market", "buy", 0.1, undefined, {
    clientOrderId: orderLinkId,
    takeProfit: { triggerPrice: "2550" },
    stopLoss: { triggerPrice: "2475" },
  });
}

async function connect() {
  const socket = new WebSocket(simulator.privateWebsocketUrl, { perMessageDeflate: false });
  const messages: z.infer<typeof Message>[] = [];
  socket.on("message", (data: Buffer) =>
    messages.push(Message.parse(JSON.parse(data.toString("utf8")))),
  );
  await once(socket, "open");
  async function received(count: number) {
    while (messages.length < count) await once(socket, "message");
    return messages.splice(0, count);
  }
  const send = (message: object): void => socket.send(JSON.stringify(message));
  return { socket, messages, send, received };
}

function auth(changes: { apiKey?: string; secret?: string; expires?: number } = {}) {
  const { apiKey = KEY.apiKey, secret = KEY.apiSecret, expires = Date.now() + 10_000 } = changes;
  const signature = createHmac("sha256", secret).update(`GET/realtime${expires}`).digest("hex");
  return { op: "auth", args: [apiKey, expires, signature] };
}

async function authenticated(...args: readonly string[]) {
  const connection = await connect();
  connection.send(auth());
  connection.send({ op: "subscribe", args });
  expect(await connection.received(2)).toMatchObject([{ success: true }, { success: true }]);
  return connection;
}

/** Settles when the simulator has answered `count` subscriptions of the client. */
function subscriptions(client: Awaited<ReturnType<typeof streamingClientOf>>, count: number) {
  return new Promise<void>((resolve) => {
    let answered = 0;
    client.handleSubscriptionStatus = (_connection, message) => {
      answered += 1;
      if (answered === count) resolve();
      return message;
    };
  });
}

/** What has arrived before the answer to a ping: everything that the server had to say until then. */
async function drained({ socket, send, messages }: Awaited<ReturnType<typeof connect>>) {
  send({ op: "ping" });
  while (!messages.some(({ op }) => op === "pong")) await once(socket, "message");
  return messages.splice(0).filter(({ op }) => op !== "pong");
}

const topicsOf = (messages: readonly z.infer<typeof Message>[]) =>
  messages.map(({ topic }) => topic);

test("ccxt.pro sees orders, trades, positions and the balance as they change", async () => {
  await start([still]);
  const client = await streamingClientOf(simulator);
  closing.push(() => client.close());
  await client.loadMarkets();
  const subscribed = subscriptions(client, 4);
  // Each waits for the first message of its topic.
  const balances = client.watchBalance();
  const trades = client.watchMyTrades(SYMBOL);
  const positions = client.watchPositions([SYMBOL]);
  const orders = client.watchOrders(SYMBOL);
  await subscribed;

  await openWithProtection("streamed");
  const [created] = await orders;
  expect(created).toMatchObject({ clientOrderId: "streamed", status: "open", filled: 0 });
  const next = client.watchOrders(SYMBOL);
  simulator.control.step();
  expect((await next)[0]).toMatchObject({ clientOrderId: "streamed", status: "closed" });
  expect((await trades)[0]).toMatchObject({ price: 2500, amount: 0.1, side: "buy" });
  expect((await positions)[0]).toMatchObject({ side: "long", contracts: 0.1, entryPrice: 2500 });
  expect((await balances)["USDT"]).toMatchObject({ total: 999.8625 });
});

const statusesOf = (orders: readonly { readonly status?: unknown }[]) =>
  orders.map(({ status }) => status);
const struck = () => simulator.control.faults()[0]?.hits;

/** A client that watches orders, and what it is told of them; `fault` strikes once `after` messages have come. */
async function watching(fault: FaultRule["fault"], after: number) {
  await start([]);
  const client = await streamingClientOf(simulator);
  closing.push(() => client.close());
  await client.loadMarkets();
  const subscribed = subscriptions(client, 1);
  const watch = async () => client.watchOrders(SYMBOL);
  const first = watch();
  await subscribed;
  simulator.control.setFaults([
    { match: { stream: "private", topic: "order*", apiKey: KEY.apiKey }, fault, after },
  ]);
  const rest = restClient();
  const place = async () => {
    const { id } = await rest.createOrder(SYMBOL, "limit", "buy", 0.1, 2480);
    return z.string().parse(id);
  };
  const cancel = (id: string) => rest.cancelOrder(id, SYMBOL);
  /** As the client has them in the end. */
  const known = () => statusesOf(client.orders ?? []);
  return { client, watch, first, place, cancel, known };
}

describe("ccxt.pro and a private stream that is spoilt", () => {
  test("silence: what was not told never comes, the next message does", async () => {
    const { first, place, cancel, known } = await watching({ kind: "silence" }, 0);
    await cancel(await place());
    expect(statusesOf(await first)).toEqual(["canceled"]);
    expect(known()).toEqual(["canceled"]);
    expect(struck()).toBe(1);
  });

  test("duplicate: an order that is told twice is one order", async () => {
    const { watch, first, place, cancel, known } = await watching({ kind: "duplicate" }, 1);
    const order = await place();
    expect(statusesOf(await first)).toEqual(["open"]);
    const next = watch();
    await cancel(order);
    expect(statusesOf(await next)).toEqual(["canceled"]);
    expect(known()).toEqual(["canceled"]);
    expect(struck()).toBe(1);
  });

  test("reorder: what is told last is believed, though it is older", async () => {
    const { first, place, cancel, known } = await watching({ kind: "reorder" }, 0);
    await cancel(await place());
    await first;
    await expect.poll(known).toEqual(["open"]);
    expect(struck()).toBe(1);
  });

  test("reset: who waits hears of it, and watches on from a new connection", async () => {
    const { client, watch, first, place, cancel } = await watching({ kind: "reset" }, 0);
    const lost = first.catch((error: unknown) => error);
    const order = await place();
    expect(await lost).toBeInstanceOf(NetworkError);
    const again = subscriptions(client, 1);
    const next = watch();
    await again;
    await cancel(order);
    expect(statusesOf(await next)).toEqual(["canceled"]);
  });
});

test("a fill is told as execution, position, wallet and order, in this order", async () => {
  await start([still, stopped]);
  const all = await authenticated("order", "execution", "position", "wallet");
  await openWithProtection("entry");
  expect(await drained(all)).toMatchObject([
    { topic: "order", data: [{ orderLinkId: "entry", orderStatus: "New", category: "linear" }] },
  ]);
  simulator.control.step();
  const fill = await drained(all);
  expect(topicsOf(fill)).toEqual([
    "execution",
    "position",
    "wallet",
    "order",
    "order",
    "order",
    "position",
  ]);
  expect(fill.map(({ data }) => data?.[0])).toMatchObject([
    { execType: "Trade", orderLinkId: "entry", execPrice: "2500", leavesQty: "0" },
    { symbol: "ETHUSDT", side: "Buy", size: "0.1", entryPrice: "2500" },
    { totalWalletBalance: "999.8625" },
    { orderLinkId: "entry", orderStatus: "Filled", cumExecQty: "0.1" },
    { stopOrderType: "StopLoss", orderStatus: "Untriggered" },
    { stopOrderType: "TakeProfit", orderStatus: "Untriggered" },
    { stopLoss: "2475", takeProfit: "2550" },
  ]);
  simulator.control.step();
  const exit = await drained(all);
  expect(exit.map(({ topic, data }) => [topic, data?.[0]?.["orderStatus"]])).toEqual([
    ["execution", undefined],
    ["position", undefined],
    ["wallet", undefined],
    ["order", "Filled"],
    ["order", "Deactivated"],
  ]);
  expect(exit[0]?.data).toMatchObject([{ stopOrderType: "StopLoss", execPnl: "-2.5" }]);
});

test("an account sees nothing of others, and a key that is revoked nothing any more", async () => {
  await start([still]);
  simulator.control.addKey({ apiKey: "other", apiSecret: "s", balance: "1" });
  const other = await connect();
  other.send(auth({ apiKey: "other", secret: "s" }));
  other.send({ op: "subscribe", args: ["order.linear", "wallet"] });
  await other.received(2);
  const own = await authenticated("order.linear");
  await openWithProtection("mine");
  expect(topicsOf(await drained(own))).toEqual(["order.linear"]);
  expect(await drained(other)).toEqual([]);
  simulator.control.revokeKey(KEY.apiKey);
  simulator.control.step();
  expect(await drained(own)).toEqual([]);
});

test.for<[name: string, changes: Parameters<typeof auth>[0]]>([
  ["an unknown key", { apiKey: "nobody" }],
  ["a wrong secret", { secret: "wrong" }],
  ["an expiry in the past", { expires: Date.now() - 1_000 }],
])("auth is refused for %s, and then there are no topics", async ([, changes]) => {
  await start([]);
  const { send, received } = await connect();
  send(auth(changes));
  expect(await received(1)).toMatchObject([
    { success: false, ret_msg: "Params Error", op: "auth" },
  ]);
  send({ op: "subscribe", args: ["order"] });
  expect(await received(1)).toMatchObject([{ success: false, ret_msg: "Request not authorized" }]);
});

test("unknown topics, operations and texts are refused, a ping is answered", async () => {
  await start([]);
  const { send, received } = await connect();
  send(auth());
  send({ op: "subscribe", args: ["order", "tickers.ETHUSDT"] });
  send({ op: "dance" });
  send([1]);
  send({ op: "ping", req_id: "7" });
  expect(await received(5)).toMatchObject([
    { success: true, op: "auth" },
    { success: false, ret_msg: "error:handler not found,topic:tickers.ETHUSDT" },
    { success: false },
    { success: false },
    { op: "pong", req_id: "7" },
  ]);
});

test("an unsubscribed topic falls silent", async () => {
  await start([still]);
  const reader = await authenticated("order", "wallet");
  reader.send({ op: "unsubscribe", args: ["order"] });
  await reader.received(1);
  await openWithProtection("entry");
  simulator.control.step();
  expect(topicsOf(await drained(reader))).toEqual(["wallet"]);
});
