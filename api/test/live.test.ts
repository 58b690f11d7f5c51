import { generateKeyPairSync, randomUUID } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { z } from "zod";
import { buildApp } from "../src/app.ts";
import { createRevocations } from "../src/auth/revocations.ts";
import { createTokens } from "../src/auth/tokens.ts";
import { connectionOptions, createPool, type Queryable } from "../src/database.ts";
import { createLiveHub, type LiveHub } from "../src/live/live-hub.ts";
import { nothingBehind } from "../src/openapi/document.ts";
import { startDatabase, type TestDatabase } from "./database.ts";
import { event, report, requestResult, trade } from "./journal.ts";
import { createBot, type JournalApp, startJournalApp } from "./journal-app.ts";

// The journal's application and the API's on one Postgres: what bots tell the one, their owners hear from the other.

const OWNER = "00000000-0000-4000-8000-00000000000a"; // of journal-app's bots
const OTHER = "00000000-0000-4000-8000-00000000000b";

let database: TestDatabase;
let journal: JournalApp;
let api: Awaited<ReturnType<typeof startListening>>;

beforeAll(async () => {
  database = await startDatabase();
  journal = await startJournalApp(database);
  await createBot(database);
  await database.superuser.query(
    `insert into users (id, email, password_hash, namespace)
     values ($1, 'other@example.com', 'x', 'tradingbots-00')`,
    [OTHER],
  );
  api = await startListening();
});
afterAll(async () => {
  await api.close();
  await journal.close();
  await database.stop();
});
afterEach(() => vi.waitUntil(() => api.live.count() === 0, { timeout: 10_000 }));

const clock = () => performance.now();
/** A lost connection is part of the tests. */
const onError = () => {};

/** An API of its own; `ask` stands between it and what it asks about log-ins that have ended. */
async function startListening(now = clock, ask = (authPool: Queryable): Queryable => authPool) {
  const pool = createPool({ url: database.apiUrl, connectionsMax: 4 });
  const authPool = createPool({ url: database.authUrl, connectionsMax: 2 });
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const tokens = await createTokens([privateKey], Date.now);
  const revocations = createRevocations({ database: ask(authPool), clock: now, onError });
  await revocations.start();
  const direct = connectionOptions({ url: database.apiUrl });
  const live: LiveHub = createLiveHub({ pool, direct, revocations, clock: now, onError });
  const app = await buildApp({ ...nothingBehind(), pool, authPool, tokens, revocations, live });
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  return {
    live,
    url,
    tokens,
    revocations,
    close: async () => {
      await app.close();
      revocations.stop();
      await Promise.all([pool.end(), authPool.end()]);
    },
  };
}

/** A log-in with its row, so that it can end. */
async function logIn(userId: string, { tokens } = api) {
  const sessionId = randomUUID();
  await database.superuser.query(
    `insert into sessions (user_id, id, proof_hash, refresh_hash, address, user_agent)
     values ($1, $2, sha256(''), sha256(''), '192.0.2.1', '')`,
    [userId, sessionId],
  );
  const caller = { userId, email: "a@example.com", tier: "pro", sessionId } as const;
  return { sessionId, token: await tokens.issue(caller) };
}

const Message = z.object({
  id: z.string().optional(),
  kind: z.string(),
  data: z.looseObject({ botId: z.string() }).optional(),
});
type Message = z.infer<typeof Message>;

/** A WebSocket as a browser opens one. */
async function listen(token: string, query = "", { url } = api) {
  const socket = new WebSocket(`${url.replace("http", "ws")}/api/events${query}`, [
    "tradingbots.v1",
    `bearer.${token}`,
  ]);
  const messages: Message[] = [];
  socket.addEventListener("message", ({ data }) => {
    messages.push(Message.parse(JSON.parse(z.string().parse(data))));
  });
  const closed = once(socket, "close");
  await once(socket, "open");
  return {
    messages,
    closed: closed.then(
      ([ending]) => z.object({ code: z.int() }).parse({ code: codeOf(ending) }).code,
    ),
    until: async (count: number) => {
      await vi.waitUntil(() => messages.length >= count, { timeout: 10_000 });
      return messages;
    },
    close: () => socket.close(),
  };
}

function codeOf(ending: unknown): unknown {
  return ending instanceof Event && "code" in ending ? ending.code : undefined;
}

const ID = (suffix: number) => `00000000-0000-8000-8000-${String(suffix).padStart(12, "0")}`;
const CLOSED = {
  exitPrice: "60100.20",
  pnl: "1.5",
  closedAt: "2026-01-02T04:04:05.678Z",
  reason: "target",
};

/** A bot with a session that tells the journal things. */
async function startBot() {
  const id = await createBot(database);
  const pod = journal.pod(id, `pod-of-${id}`, 1);
  const { epoch } = z.object({ epoch: z.int() }).parse((await pod.post("/v1/session", {})).body);
  let sequence = 0;
  return {
    id,
    tell: async (...bodies: readonly object[]) => {
      const records = bodies.map((body) => ({ sequence: ++sequence, body }));
      const answer = await pod.post("/v1/records", { epoch, records });
      expect(answer).toEqual({ status: 200, body: { lastSequence: sequence } });
    },
  };
}

test("the owner hears of trades, positions, state and halts, of each change once, and nobody else does", async () => {
  const bot = await startBot();
  const [owner, other] = [await logIn(OWNER), await logIn(OTHER)];
  const [mine, theirs] = [await listen(owner.token), await listen(other.token)];
  const position = {
    symbol: "BTC/USDT:USDT",
    side: "long",
    quantity: "0.010",
    entryPrice: "60000.10",
    unrealisedPnl: "1.0",
    stopLoss: null,
    takeProfit: null,
  } as const;
  await bot.tell(trade(1), event("a signal"), report());
  await mine.until(4);
  await bot.tell(report({ positions: [{ ...position, unrealisedPnl: "2.0" }] }));
  await bot.tell(
    report({ positions: [{ ...position, unrealisedPnl: "3.0" }], asOf: "2026-01-03T00:00:00Z" }),
  );
  await bot.tell(trade(1, { fees: "0.66" })); // still open
  await bot.tell(trade(1, CLOSED), report({ halts: ["halt-1"], state: "Paused", trading: false }));
  const heard = await mine.until(9);
  expect(heard.map(({ kind }) => kind).toSorted()).toEqual([
    "halts",
    "halts",
    "position",
    "position",
    "position",
    "state",
    "state",
    "trade.closed",
    "trade.opened",
  ]);
  const ids = heard.map(({ id }) => Number(id));
  expect(ids).toEqual(ids.map((_, index) => (ids[0] ?? 0) + index));
  expect(heard.find(({ kind }) => kind === "trade.closed")?.data).toEqual({
    botId: bot.id,
    id: ID(1),
    symbol: "BTC/USDT:USDT",
    side: "long",
    quantity: "0.010",
    entryPrice: "60000.10",
    fees: "0.33",
    funding: "0",
    openedAt: "2026-01-02T03:04:05.678Z",
    ...CLOSED,
  });
  expect(heard.findLast(({ kind }) => kind === "state")?.data).toMatchObject({ state: "Paused" });
  expect(theirs.messages).toEqual([]);
  mine.close();
  theirs.close();
  expect(await mine.closed).toBe(1000);
});

test("the owner hears what becomes of a request: that it has begun, its end, and no later word", async () => {
  const bot = await startBot();
  const mine = await listen((await logIn(OWNER)).token);
  await bot.tell(requestResult(1, { status: "begun" }));
  await mine.until(1);
  await bot.tell(requestResult(1, { status: "begun" }), requestResult(1));
  await bot.tell(requestResult(1, { status: "expired" }), event("something else"), trade(1));
  const heard = await mine.until(3);
  const told = heard.map(({ kind, data }) => `${kind} ${String(data?.["status"])}`);
  expect(told).toEqual(["request begun", "request done", "trade.opened undefined"]);
  expect(heard[1]?.data).toMatchObject({
    botId: bot.id,
    id: ID(1),
    action: "ClosePosition",
    symbol: "BTC/USDT:USDT",
    reason: null,
  });
  mine.close();
});

test("whoever names the last id goes on from there, by WebSocket and by server-sent events", async () => {
  const bot = await startBot();
  const { token } = await logIn(OWNER);
  const first = await listen(token);
  await bot.tell(trade(1), trade(2), trade(3));
  const [, second, third] = await first.until(3);
  first.close();
  await first.closed;
  await bot.tell(trade(4));
  const resumed = await listen(token, `?lastEventId=${second?.id ?? ""}`);
  expect((await resumed.until(2)).map(({ data }) => data?.["id"])).toEqual([ID(3), ID(4)]);
  resumed.close();

  const stream = await fetch(`${api.url}/api/events`, {
    headers: { authorization: `Bearer ${token}`, "last-event-id": third?.id ?? "" },
  });
  expect(stream.headers.get("content-type")).toBe("text/event-stream");
  expect(stream.headers.get("x-content-type-options")).toBe("nosniff");
  const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader();
  let seen = "";
  while (!seen.includes(ID(4))) seen += (await reader?.read())?.value ?? "";
  expect(seen).toMatch(/^retry: \d+\n\nid: \d+\ndata: \{"id":"\d+","kind":"trade.opened"/);
  await reader?.cancel();
});

test("an event source that comes back by itself goes on from what it heard last, not from where it once began", async () => {
  const bot = await startBot();
  const { token } = await logIn(OWNER);
  const listener = await listen(token);
  await bot.tell(trade(1), trade(2), trade(3));
  const [first, , third] = await listener.until(3);
  listener.close();
  const stream = await fetch(`${api.url}/api/events?lastEventId=${first?.id ?? ""}`, {
    headers: { authorization: `Bearer ${token}`, "last-event-id": third?.id ?? "" },
  });
  await bot.tell(trade(4));
  const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader();
  let seen = "";
  while (!seen.includes(ID(4))) seen += (await reader?.read())?.value ?? "";
  expect(seen).not.toContain(ID(2));
  await reader?.cancel();
});

test("an id that was never given, and one that is not kept any more, are answered with `missed`", async () => {
  const bot = await startBot();
  const { token } = await logIn(OWNER);
  const unknown = await listen(token, "?lastEventId=999999999");
  expect((await unknown.until(1))[0]).toEqual({ kind: "missed" });
  unknown.close();
  for (const batch of Array.from({ length: 3 }, (_, index) => index * 400)) {
    await bot.tell(...Array.from({ length: 400 }, (_, index) => trade(1_000 + batch + index)));
  }
  const late = await listen(token, "?lastEventId=1");
  const heard = await late.until(1_000);
  expect(heard[0]).toEqual({ kind: "missed" });
  expect(heard.at(-1)?.data?.["id"]).toBe(ID(2_199));
  late.close();
});

test("bots that tell things in the same moment are heard in one order without a gap", async () => {
  const bots = [];
  for (const _ of Array.from({ length: 12 })) bots.push(await startBot());
  const { token } = await logIn(OWNER);
  const listener = await listen(token);
  const rounds = Array.from({ length: 10 }, (_, index) => index + 1);
  await Promise.all(
    bots.map(async (bot) => {
      for (const round of rounds) await bot.tell(trade(round), trade(round, CLOSED));
    }),
  );
  const ids = (await listener.until(120)).map(({ id }) => Number(id));
  expect(ids).toEqual(ids.map((_, index) => (ids[0] ?? 0) + index));
  expect(new Set(listener.messages.map(({ kind }) => kind))).toEqual(new Set(["trade.closed"]));
  listener.close();
});

test("what happens while the listening connection is lost is heard when there is another", async () => {
  const bot = await startBot();
  const { token } = await logIn(OWNER);
  const listener = await listen(token);
  const { rowCount } = await database.superuser.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where query = 'listen live'",
  );
  expect(rowCount).toBe(1);
  await bot.tell(trade(1));
  expect((await listener.until(1))[0]).toMatchObject({ kind: "trade.opened" });
  listener.close();
});

test("the sockets of a log-in that ends are closed within a second", async () => {
  const { sessionId, token } = await logIn(OWNER);
  const listener = await listen(token);
  const endedMs = performance.now();
  await database.superuser.query(
    "update sessions set ended_at = clock_timestamp(), end_reason = 'logout' where id = $1",
    [sessionId],
  );
  expect(await listener.closed).toBe(4401);
  expect(performance.now() - endedMs).toBeLessThan(2_000); // a second, and a machine that is busy
});

/** A process that hears nothing of the database for so many minutes, in which one of two log-ins ends. */
async function cutOff(minutes: number) {
  let skewMs = 0;
  let isAway = false;
  const cut = await startListening(
    () => clock() + skewMs,
    (authPool) => ({
      query: (...asked) => (isAway ? Promise.reject(new Error("away")) : authPool.query(...asked)),
    }),
  );
  const [ended, living] = [await logIn(OWNER, cut), await logIn(OWNER, cut)];
  const ofEnded = await listen(ended.token, "", cut);
  const ofLiving = await listen(living.token, "", cut);
  isAway = true;
  await vi.waitUntil(() => !cut.revocations.isFresh(), { timeout: 10_000 });
  await database.superuser.query(
    `update sessions set ended_at = clock_timestamp() - make_interval(mins => $2), end_reason = 'logout'
      where id = $1`,
    [ended.sessionId, minutes],
  );
  skewMs = minutes * 60_000;
  isAway = false;
  return { ofEnded, ofLiving, close: cut.close };
}

test("a log-in that ends while a process is cut off is heard of afterwards, and the others go on", async () => {
  const { ofEnded, ofLiving, close } = await cutOff(10);
  expect(await ofEnded.closed).toBe(4401);
  await (await startBot()).tell(trade(1));
  expect((await ofLiving.until(1))[0]).toMatchObject({ kind: "trade.opened" });
  await close();
});

test("after a cut too long to hear of all that ended, everybody shows their token again", async () => {
  const { ofEnded, ofLiving, close } = await cutOff(20);
  expect(await Promise.all([ofEnded.closed, ofLiving.closed])).toEqual([4408, 4408]);
  await close();
});

test("who does not read is dropped, and holds up nobody", async () => {
  const bot = await startBot();
  const { token } = await logIn(OWNER);
  const reader = await listen(token);
  const { port } = new URL(api.url);
  const idle = connect(Number(port), "127.0.0.1");
  idle.write(handshake(token));
  await vi.waitUntil(() => api.live.count() === 2, { timeout: 10_000 });
  idle.pause();
  const told = async (before: number): Promise<number> => {
    const ids = Array.from({ length: 500 }, (_, index) => before + index + 1);
    await bot.tell(...ids.map((id) => trade(id, { reason: "x".repeat(60) })));
    return api.live.count() === 1 || before > 200_000 ? ids.length + before : told(before + 500);
  };
  const count = await told(0);
  expect(api.live.count()).toBe(1);
  // On a slow machine it may have missed some of so many.
  await vi.waitUntil(() => reader.messages.at(-1)?.data?.["id"] === ID(count), { timeout: 20_000 });
  reader.close();
  idle.destroy();
});

function handshake(token: string, change: Readonly<Record<string, string>> = {}): string {
  const headers = {
    host: "x",
    connection: "upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    authorization: `Bearer ${token}`,
    ...change,
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET /api/events HTTP/1.1\r\n${lines.join("")}\r\n`;
}

async function answerTo(bytes: string): Promise<string> {
  const answer = await text(connect(Number(new URL(api.url).port), "127.0.0.1").end(bytes));
  return /^HTTP\/1.1 (\d+)/.exec(answer)?.[1] ?? answer;
}

test("nobody listens without a token, with a spoilt handshake, or on too many connections", async () => {
  const { token } = await logIn(OWNER);
  expect(await answerTo(handshake(`${token}x`))).toBe("401");
  expect(await answerTo(handshake(token, { "sec-websocket-version": "8" }))).toBe("400");
  expect(await answerTo(handshake(token, { "sec-websocket-key": "short" }))).toBe("400");
  const listeners = await Promise.all(Array.from({ length: 20 }, () => listen(token)));
  expect(await answerTo(handshake(token))).toBe("429");
  for (const listener of listeners) listener.close();
});

test("whoever sends messages is sent away", async () => {
  const { token } = await logIn(OWNER);
  const socket = new WebSocket(`${api.url.replace("http", "ws")}/api/events`, [
    "tradingbots.v1",
    `bearer.${token}`,
  ]);
  const closed = once(socket, "close");
  await once(socket, "open");
  socket.send("hello");
  expect(codeOf((await closed)[0])).toBe(1002);
});
