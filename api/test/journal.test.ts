import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { SessionAnswer, TradingHalt } from "@tradingbots/crds";
import { customResource } from "@tradingbots/kube";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { freePorts } from "../../hack/control-plane/free-ports.ts";
import {
  createPod,
  deletePod,
  startCluster,
  SYSTEM_NAMESPACE,
  type TestCluster,
  tokenOf,
  until,
} from "./cluster.ts";
import { Wire } from "../../operator/test/wire.ts";
import { startDatabase, type TestDatabase } from "./database.ts";
import {
  type Answer,
  dayBaseline,
  equity,
  event,
  fill,
  funding,
  intent,
  journalClient,
  order,
  readReports,
  report,
  trade,
} from "./journal.ts";

let database: TestDatabase;
let cluster: TestCluster;
let journal: { readonly url: string; process: ChildProcess };

beforeAll(async () => {
  [database, cluster] = await Promise.all([startDatabase(), startCluster()]);
  const [port = 0] = await freePorts(1);
  journal = { url: `http://127.0.0.1:${port}`, process: await startJournal(port) };
});
afterAll(async () => {
  await end(journal.process, "SIGTERM");
  await Promise.all([database.stop(), cluster.stop()]);
});

/** The journal as it is deployed: a process with an environment. */
async function startJournal(
  port: number,
  kubeconfig = cluster.controlPlane.kubeconfigPath,
): Promise<ChildProcess> {
  const main = join(import.meta.dirname, "..", "src", "journal", "main.ts");
  const child = spawn(process.execPath, [main], {
    env: {
      PORT: String(port),
      HOST: "127.0.0.1",
      DATABASE_URL: database.journalUrl,
      KUBECONFIG: kubeconfig,
      LOG_LEVEL: "error",
    },
    stdio: ["ignore", "inherit", "inherit"],
  });
  await until(async () => {
    const response = await fetch(`http://127.0.0.1:${port}/readyz`);
    const { checks } = z
      .object({ checks: z.record(z.string(), z.string()) })
      .parse(await response.json());
    if (Object.values(checks).some((state) => state !== "ok")) throw new Error("not ready");
  });
  return child;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const exited = once(child, "exit");
  child.kill(signal);
  await exited;
}

const TRADING_HALTS = customResource(TradingHalt);
const ALICE = "00000000-0000-4000-8000-00000000000a";
const BOB = "00000000-0000-4000-8000-00000000000b";
const NAMESPACE = "tradingbots-00";
let bots = 0;
let botId: string;

beforeEach(async () => {
  botId = await createBot(ALICE);
});

/** Rows as the API leaves them: a user, an account and a bot on it. */
async function createBot(userId: string): Promise<string> {
  const id = `bot-${++bots}`;
  await database.superuser.query(
    `insert into users (id, email, password_hash, namespace) values ($1, $2, 'x', $3)
     on conflict do nothing`,
    [userId, `${userId}@example.com`, NAMESPACE],
  );
  await database.superuser.query(
    "insert into accounts (user_id, id, namespace) values ($1, $2, $3)",
    [userId, `acct-${bots}`, NAMESPACE],
  );
  await database.superuser.query(
    "insert into bots (user_id, id, namespace, account_id) values ($1, $2, $3, $4)",
    [userId, id, NAMESPACE, `acct-${bots}`],
  );
  return id;
}

/** A new pod of a bot, as the operator makes it, and its side of the protocol. */
async function startPod(name: string, account = name.replace("bot-", "acct-")) {
  await deletePod(cluster.admin, { name, namespace: NAMESPACE });
  const uid = await createPod(cluster.admin, { name, namespace: NAMESPACE, account });
  const token = await tokenOf(cluster.admin, {
    account,
    audience: "journal",
    namespace: NAMESPACE,
    pod: { name, uid },
  });
  return { uid, token, client: journalClient(journal.url, token) };
}

async function openSession(client: { session(): Promise<Answer> }) {
  const { status, body } = await client.session();
  expect(status).toBe(200);
  return SessionAnswer.parse(body);
}

const codeOf = ({ status, body }: Answer) => ({
  status,
  code: z.object({ code: z.string() }).parse(body).code,
});

const ageOf = (line: object | undefined) =>
  line !== undefined && "ageMs" in line ? line.ageMs : -1;

const isFlat = (line: object) => "report" in line && JSON.stringify(line).includes('"flat":true');

const outcome = async (token: string) => codeOf(await journalClient(journal.url, token).session());

async function rows(sql: string): Promise<readonly unknown[]> {
  return (await database.superuser.query<Record<string, unknown>>(sql, [botId])).rows;
}

test("every session has a new epoch, also of the same pod and of requests at once", async () => {
  const first = await startPod(botId);
  expect(await openSession(first.client)).toEqual({
    epoch: 1,
    lastSequence: 0,
    openTrades: [],
    openIntents: [],
    dayBaseline: null,
    realised: "0",
    errors: null,
    requests: [],
  });
  expect((await openSession(first.client)).epoch).toBe(2);
  const second = await startPod(botId);
  expect((await openSession(second.client)).epoch).toBe(3);
  const together = await Promise.all([second.client.session(), second.client.session()]);
  const epochs = together.map(({ body }) => SessionAnswer.parse(body).epoch);
  expect(new Set(epochs)).toEqual(new Set([4, 5]));
});

test("a halt keeps entries out as soon as it stands in the cluster, also of a bot that has not heard of it", async () => {
  const [halted, other] = [await startPod(botId), await startPod(await createBot(BOB))];
  for (const { client } of [halted, other]) {
    const { epoch } = await openSession(client);
    await client.lease(epoch);
  }
  await createHalt("of-alice", ALICE);
  await until(async () => expect(await entryOf(halted.client)).toBe("halted"));
  expect(await entryOf(other.client)).toBe("accepted");
  await lift("of-alice");
  await until(async () => expect(await entryOf(halted.client)).toBe("accepted"));
});

test("a replica that is cut off from the API server obeys halts that another one hears of, until they are lifted or deleted", async ({
  onTestFinished,
}) => {
  const wire = await Wire.lay(Number(new URL(cluster.controlPlane.url).port));
  onTestFinished(() => wire.close());
  const [port = 0] = await freePorts(1);
  const cutOff = await startJournal(port, await kubeconfigThrough(wire));
  onTestFinished(() => end(cutOff, "SIGKILL"));
  const { client: hearing, token } = await startPod(botId);
  const there = journalClient(`http://127.0.0.1:${port}`, token);
  const { epoch } = await openSession(hearing);
  await hearing.lease(epoch);
  expect(await entryOf(there)).toBe("accepted");
  await createHalt("known-before", ALICE);
  await until(async () => expect(await entryOf(there)).toBe("halted"));
  wire.cut();
  await lift("known-before");
  await until(async () => expect(await entryOf(there)).toBe("accepted"));
  await createHalt("made-meanwhile", ALICE);
  for (const client of [hearing, there])
    await until(async () => expect(await entryOf(client)).toBe("halted"));
  await cluster.admin.remove(TRADING_HALTS, { name: "made-meanwhile" });
  for (const client of [hearing, there])
    await until(async () => expect(await entryOf(client)).toBe("accepted"));
});

/** What becomes of an entry under the first epoch. */
async function entryOf(client: ReturnType<typeof journalClient>): Promise<string> {
  const answer = await client.intent(1, 1);
  return answer.status === 200 ? "accepted" : codeOf(answer).code;
}

async function createHalt(name: string, userId: string): Promise<void> {
  const { apiVersion, kind } = TRADING_HALTS;
  const spec = {
    scope: { type: "user", value: userId },
    action: "Flatten",
    reason: "stolen phone",
  };
  await cluster.admin.create(TRADING_HALTS, { apiVersion, kind, metadata: { name }, spec });
}

async function lift(name: string): Promise<void> {
  const body = { spec: { lifted: true } };
  await cluster.admin.patch(TRADING_HALTS, { name }, { type: "merge", body });
}

/** The cluster's kubeconfig, but for the way to the API server. */
async function kubeconfigThrough({ port }: Wire): Promise<string> {
  const { kubeconfigPath, url } = cluster.controlPlane;
  const path = `${kubeconfigPath}-through-wire`;
  const text = await readFile(kubeconfigPath, "utf8");
  await writeFile(path, text.replaceAll(url, `https://127.0.0.1:${port}`), { mode: 0o600 });
  return path;
}

test("a restarted container loses no record to its predecessor's late batch, nor the other way round", async () => {
  const { client } = await startPod(botId);
  await openSession(client);
  await client.records(1, 1, [event("old 1")]);
  const { epoch, lastSequence } = await openSession(client); // the next process in the same pod
  expect({ epoch, lastSequence }).toEqual({ epoch: 2, lastSequence: 0 });
  await client.records(2, 1, [event("young 1"), event("young 2"), report({ generation: 2 })]);
  const late = [event("old 2"), event("old 3"), trade(1), report({ generation: 1 })];
  expect(await client.records(1, 2, late)).toEqual({ status: 200, body: { lastSequence: 5 } });
  await client.records(2, 4, [event("young 3")]);
  expect(
    await rows("select message from events where bot_id = $1 order by epoch, sequence"),
  ).toEqual(
    ["old 1", "old 2", "old 3", "young 1", "young 2", "young 3"].map((message) => ({ message })),
  );
  expect(await rows("select epoch from reports where bot_id = $1")).toEqual([{ epoch: 2 }]);
  expect(codeOf(await client.intent(1, 1))).toEqual({ status: 409, code: "unknown_session" });
  await client.lease(2);
  expect((await client.intent(2, 1)).status).toBe(200);
});

test("a pod that was replaced takes over no more, whether it was heard before or not, however soon", async () => {
  const heard = await startPod(botId);
  await openSession(heard.client);
  const unheard = await startPod(botId);
  // At once: tokens say whole seconds, so they do not tell.
  const young = await startPod(botId);
  expect((await openSession(young.client)).epoch).toBe(2);
  for (const { client } of [heard, unheard]) {
    expect(codeOf(await client.session())).toEqual({ status: 409, code: "stale_epoch" });
  }
  expect((await heard.client.records(1, 1, [event("fact")])).status).toBe(200);
  await young.client.lease(2);
  expect((await young.client.intent(2, 1)).status).toBe(200);
  expect((await openSession(young.client)).epoch).toBe(3);
});

test("a stale epoch sends no orders, may add facts, and its report does not count", async () => {
  const old = await startPod(botId);
  await openSession(old.client);
  await old.client.lease(1);
  expect(await old.client.intent(1, 1)).toEqual({ status: 200, body: { accepted: true } });
  const young = await startPod(botId);
  await openSession(young.client);
  await young.client.records(2, 1, [report({ generation: 2 })]);
  expect(codeOf(await old.client.intent(1, 2))).toEqual({ status: 409, code: "stale_epoch" });
  expect(codeOf(await old.client.intent(2, 2))).toEqual({ status: 409, code: "unknown_session" });
  expect(codeOf(await old.client.records(2, 1, [event("no")])).code).toBe("unknown_session");
  const added = await old.client.records(1, 1, [event("late"), report({ generation: 1 })]);
  expect(added).toEqual({ status: 200, body: { lastSequence: 2 } });
  expect(await rows("select message from events where bot_id = $1")).toEqual([{ message: "late" }]);
  expect(await rows("select epoch from reports where bot_id = $1")).toEqual([{ epoch: 2 }]);
});

test("everything is kept exactly, once, and a session tells what is not over", async () => {
  const { client } = await startPod(botId);
  await openSession(client);
  await client.lease(1);
  for (const id of [1, 2, 3]) await client.intent(1, id);
  await client.intent(1, 1);
  const batch = [
    order(1, "accepted"),
    order(1, "filled"),
    order(2, "refused"),
    fill("exec-1", 1),
    fill("exec-1", 1), // an exchange may tell twice
    funding("exec-2", 1),
    funding("exec-2", 1),
    trade(1, { funding: "-0.0000000000000001" }),
    trade(4),
    trade(4, {
      exitPrice: "61200.5",
      pnl: "11.674000000000000001",
      closedAt: "2026-01-02T04:00:00.000Z",
    }),
    trade(5, { pnl: "-1", closedAt: "2025-01-02T04:00:00.000Z" }),
    equity("1000.10"),
    event("null\u0000byte"),
    dayBaseline("1000"),
    dayBaseline("2000"),
    report({ generation: 7, consecutiveErrors: 3 }),
  ];
  for (let repetition = 0; repetition < 3; repetition++) {
    const answer = await client.records(1, 1, batch);
    expect(answer).toEqual({ status: 200, body: { lastSequence: batch.length } });
  }
  const counts = await rows(
    `select (select count(*)::int from orders where bot_id = $1) as orders,
            (select count(*)::int from fills where bot_id = $1) as fills,
            (select count(*)::int from funding where bot_id = $1) as funding,
            (select count(*)::int from trades where bot_id = $1) as trades,
            (select count(*)::int from equity where bot_id = $1) as equity,
            (select count(*)::int from events where bot_id = $1) as events`,
  );
  expect(counts).toEqual([{ orders: 3, fills: 1, funding: 1, trades: 3, equity: 1, events: 1 }]);
  expect(await rows("select pnl from trades where bot_id = $1 and pnl > 0")).toEqual([
    { pnl: "11.674000000000000001" },
  ]);
  expect(await rows("select fee from fills where bot_id = $1")).toEqual([
    { fee: "0.3300000000000001" },
  ]);
  expect(await rows("select amount from funding where bot_id = $1")).toEqual([
    { amount: "-0.0000000000000001" },
  ]);
  const open = trade(1, { funding: "-0.0000000000000001" });
  expect(await openSession(client)).toEqual({
    epoch: 2,
    lastSequence: 0,
    openTrades: [z.object({ trade: z.unknown() }).parse(open).trade],
    openIntents: [intent(3)],
    dayBaseline: { day: "2026-01-02", equity: "1000", startsFrom: "-1.5" },
    realised: "10.674000000000000001",
    errors: { generation: 7, count: 3 },
    requests: [],
  });
});

test("an older word about a trade does not undo a newer one", async () => {
  const { client } = await startPod(botId);
  await openSession(client);
  await client.records(1, 2, [
    trade(1, { pnl: "5", exitPrice: "1", closedAt: "2026-01-02T05:00:00Z" }),
  ]);
  await client.records(1, 1, [trade(1)]);
  expect(await rows("select pnl from trades where bot_id = $1")).toEqual([{ pnl: "5" }]);
});

test("who speaks follows from the token: wrong audience, pod, account or signature is refused", async () => {
  const other = await createBot(BOB);
  const { uid } = await startPod(botId);
  await startPod(other);
  const account = botId.replace("bot-", "acct-");
  const wish = { account, audience: "journal", namespace: NAMESPACE };
  const sign = (change: object) => tokenOf(cluster.admin, { ...wish, ...change });
  const unbound = await sign({});
  const wrongAudience = await sign({ audience: "vault", pod: { name: botId, uid } });
  const bound = await sign({ pod: { name: botId, uid } });
  const stranger = await createPod(cluster.admin, {
    name: "stranger",
    namespace: NAMESPACE,
    account,
  });
  const ofStranger = await sign({ pod: { name: "stranger", uid: stranger } });
  const elsewhere = { name: botId, namespace: "tradingbots-01", account };
  const foreignUid = await createPod(cluster.admin, elsewhere);
  const ofElsewhere = await sign({
    namespace: elsewhere.namespace,
    pod: { name: botId, uid: foreignUid },
  });
  const impostor = { name: other, namespace: "tradingbots-01", account: "acct-impostor" };
  const impostorUid = await createPod(cluster.admin, impostor);
  const ofImpostor = await sign({
    account: impostor.account,
    namespace: impostor.namespace,
    pod: { name: other, uid: impostorUid },
  });
  expect(await outcome(unbound)).toEqual({ status: 403, code: "unknown_bot" });
  expect(await outcome(wrongAudience)).toEqual({ status: 401, code: "unauthenticated" });
  expect(await outcome(ofStranger)).toEqual({ status: 403, code: "unknown_bot" });
  expect(await outcome(ofElsewhere)).toEqual({ status: 403, code: "unknown_bot" });
  expect(await outcome(ofImpostor)).toEqual({ status: 403, code: "unknown_bot" });
  expect(await outcome(`${bound.slice(0, -6)}AAAAAA`)).toEqual({
    status: 401,
    code: "unauthenticated",
  });
  expect(await outcome("nonsense")).toEqual({ status: 401, code: "unauthenticated" });
});

test("a bot without an account speaks as its paper account", async () => {
  await database.superuser.query("update bots set account_id = null where id = $1", [botId]);
  const { client } = await startPod(botId, `paper-${botId}`);
  expect((await openSession(client)).epoch).toBe(1);
});

test("two bots with the same ids keep theirs", async () => {
  const other = await createBot(BOB);
  const [mine, theirs] = [await startPod(botId), await startPod(other)];
  for (const { client } of [mine, theirs]) await openSession(client);
  await mine.client.lease(1);
  await mine.client.intent(1, 7);
  await mine.client.records(1, 1, [trade(7), fill("same", 7), event("mine")]);
  expect(await openSession(theirs.client)).toMatchObject({ openTrades: [], openIntents: [] });
  await theirs.client.records(1, 1, [
    trade(7, { quantity: "9" }),
    fill("same", 7),
    event("theirs"),
  ]);
  expect(await rows("select user_id, quantity from trades where bot_id = $1")).toEqual([
    { user_id: ALICE, quantity: "0.010" },
  ]);
  expect(
    await rows(
      "select count(*)::int as fills from fills where execution_id = 'same' and bot_id <> $1",
    ),
  ).toEqual([{ fills: 1 }]);
});

test.for<[string, unknown, { status: number; code: string }]>([
  [
    "too many records",
    {
      epoch: 1,
      records: Array.from({ length: 501 }, (_, index) => ({
        sequence: index + 1,
        body: event("x"),
      })),
    },
    { status: 422, code: "validation_failed" },
  ],
  ["no records", { epoch: 1, records: [] }, { status: 422, code: "validation_failed" }],
  [
    "an unknown type",
    { epoch: 1, records: [{ sequence: 1, body: { type: "gift" } }] },
    { status: 422, code: "validation_failed" },
  ],
  [
    "a time that is none",
    { epoch: 1, records: [{ sequence: 1, body: { ...event("x"), at: "soon" } }] },
    { status: 422, code: "validation_failed" },
  ],
])("refused: %s", async ([, body, expected]) => {
  const { client, token } = await startPod(botId);
  await openSession(client);
  const response = await fetch(`${journal.url}/v1/records`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  expect(codeOf({ status: response.status, body: await response.json() })).toEqual(expected);
});

test("the operator reads every bot's latest report, then changes, then heartbeats; nobody else does", async () => {
  const { client, token, uid } = await startPod(botId);
  expect((await readReports(journal.url, token)).status).toBe(403);
  await openSession(client);
  await client.records(1, 1, [report({ flat: false })]);
  await database.superuser.query(
    "update reports set received_at = clock_timestamp() - interval '40 days' where bot_id = $1",
    [botId],
  );
  const operator = await operatorToken();
  const stream = await readReports(journal.url, operator);
  expect(stream.contentType).toBe("application/x-ndjson");
  const isMine = (line: object) => "botName" in line && line.botName === botId;
  await stream.until((lines) => lines.some((line) => "synced" in line));
  expect(stream.lines.find(isMine)).toMatchObject({
    namespace: NAMESPACE,
    podUid: uid,
    epoch: 1,
    report: { flat: false },
  });
  const days = Number(ageOf(stream.lines.find(isMine))) / 86_400_000;
  expect(days).toBeCloseTo(40, 2); // by the database's clock, and longer than 32 bits of milliseconds
  const sentAt = performance.now();
  await client.records(1, 2, [report({ flat: true })]);
  await stream.until((lines) => lines.some((line) => isMine(line) && isFlat(line)));
  expect(performance.now() - sentAt).toBeLessThan(2_000);
  expect(ageOf(stream.lines.findLast(isMine))).toBeLessThan(2_000);
  await stream.until((lines) => lines.some((line) => "heartbeat" in line));
  stream.stop();
});

async function operatorToken(): Promise<string> {
  const account = "tradingbots-operator";
  await createPod(cluster.admin, { name: account, namespace: SYSTEM_NAMESPACE, account }).catch(
    () => {},
  );
  return tokenOf(cluster.admin, { account, audience: "journal" });
}

test("a stream ends when its listening connection does, and a new one begins with everything", async () => {
  const { client } = await startPod(botId);
  await openSession(client);
  await client.records(1, 1, [report()]);
  const operator = await operatorToken();
  const stream = await readReports(journal.url, operator);
  await stream.until((lines) => lines.some((line) => "synced" in line));
  await database.superuser.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where query = 'listen reports' or query = 'select 1'",
  );
  await until(async () => {
    if (!stream.hasEnded()) throw new Error("still open");
  });
  const next = await until(async () => {
    const candidate = await readReports(journal.url, operator);
    if (candidate.status !== 200) throw new Error("not listening yet");
    return candidate;
  });
  await next.until((lines) => lines.some((line) => "synced" in line));
  expect(next.lines.some((line) => "botName" in line && line.botName === botId)).toBe(true);
  next.stop();
});

test("kill -9 between and in the middle of batches loses and doubles nothing", async () => {
  const { client } = await startPod(botId);
  await openSession(client);
  const port = Number(new URL(journal.url).port);
  let acknowledged = 0;
  const killed = new AbortController();
  const killer = (async () => {
    for (let restarts = 0; restarts < 3; restarts++) {
      await sleep(150);
      await end(journal.process, "SIGKILL");
      journal.process = await startJournal(port);
    }
    killed.abort();
  })();
  while (!killed.signal.aborted || acknowledged < 300) {
    const bodies = Array.from({ length: 10 }, (_, index) => event(`${acknowledged + index + 1}`));
    const answer = await client.records(1, acknowledged + 1, bodies).catch(() => undefined);
    if (answer?.status === 200) acknowledged += bodies.length;
    else await sleep(20);
  }
  await killer;
  expect(
    await rows(`select count(*)::int as count, count(distinct message)::int as different,
                            max(sequence)::int as last from events where bot_id = $1`),
  ).toEqual([{ count: acknowledged, different: acknowledged, last: acknowledged }]);
  const again = await client.records(1, 1, [event("1")]);
  expect(again).toEqual({ status: 200, body: { lastSequence: acknowledged } });
});
