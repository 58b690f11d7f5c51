import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { createKubeClient } from "./client.ts";
import { becomeLeader } from "./leader-election.ts";
import { LEASES, SERVICE_ACCOUNTS } from "./resource.ts";
import { WriteForbiddenError, type WriteGuard } from "./write-guard.ts";

/** As many as a client sends at once. */
const CONNECTIONS = 32;
const WAITING = 8;

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

/** The end of a streamed initial state that was empty. */
const NO_LEASE_YET = {
  type: "BOOKMARK",
  object: {
    metadata: { resourceVersion: "1", annotations: { "k8s.io/initial-events-end": "true" } },
  },
};

/** An API server that answers about service accounts only when told to, and about leases at once. */
async function stallingServer() {
  const stalled: ServerResponse[] = [];
  const leases: string[] = [];
  const server = createServer((request, response) => {
    request.resume();
    if (request.url?.includes("/leases") !== true) {
      stalled.push(response);
      return;
    }
    leases.push(request.method ?? "");
    if (request.url.includes("watch=true")) {
      response.write(`${JSON.stringify(NO_LEASE_YET)}\n`);
      return;
    }
    const found = request.method !== "GET";
    response.writeHead(found ? 200 : 404, { "content-type": "application/json" });
    response.end(
      JSON.stringify(found ? { kind: "Lease", metadata: { resourceVersion: "1" } } : {}),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const access = {
    server: `http://127.0.0.1:${address.port}`,
    ca: () => undefined,
    clientCertificate: undefined,
    token: () => undefined,
  };
  ends.push(async () => {
    server.closeAllConnections();
    server.close();
  });
  const answerAll = () => {
    for (const response of stalled) response.end(JSON.stringify({ kind: "ServiceAccount" }));
  };
  return { access, stalled, leases, answerAll };
}

type Server = Awaited<ReturnType<typeof stallingServer>>;

function clientOf({ access }: Server) {
  const client = createKubeClient(access);
  ends.push(() => client.close());
  return client;
}

/** Fills all connections and has some writes wait; what became of each is noted by name. */
async function crowd(server: Server, guard: WriteGuard) {
  const client = clientOf(server).guarded(guard);
  const outcomes: string[] = [];
  const all = Array.from({ length: CONNECTIONS + WAITING }, async (_, index) => {
    const metadata = { namespace: "n", name: `a${index}` };
    await client.create(SERVICE_ACCOUNTS, { kind: "ServiceAccount", metadata }).then(
      () => void outcomes.push("written"),
      (error: unknown) =>
        void outcomes.push(error instanceof WriteForbiddenError ? "kept back" : "given up"),
    );
  });
  await expect.poll(() => server.stalled.length).toBe(CONNECTIONS);
  return { outcomes, ended: Promise.all(all) };
}

function countOf(outcomes: readonly string[]) {
  const count = (outcome: string) => outcomes.filter((each) => each === outcome).length;
  return { written: count("written"), keptBack: count("kept back"), givenUp: count("given up") };
}

test("the guard is asked when a write's turn has come, not when it began to wait", async () => {
  const server = await stallingServer();
  let leads = true;
  let forbidden = 0;
  const guard = { mayWrite: () => leads, onForbidden: () => (forbidden += 1) };
  const { outcomes, ended } = await crowd(server, guard);
  leads = false;
  server.answerAll();
  await ended;
  expect(countOf(outcomes)).toEqual({ written: CONNECTIONS, keptBack: WAITING, givenUp: 0 });
  expect(forbidden).toBe(WAITING);
  expect(server.stalled).toHaveLength(CONNECTIONS);
});

test("lost leadership ends at once what waits for an answer or for its turn", async () => {
  const server = await stallingServer();
  const lost = new AbortController();
  const guard = { mayWrite: () => !lost.signal.aborted, lost: lost.signal };
  const { outcomes, ended } = await crowd(server, guard);
  const lostAt = performance.now();
  lost.abort();
  await ended;
  expect(performance.now() - lostAt).toBeLessThan(1_000);
  expect(countOf(outcomes)).toEqual({ written: 0, keptBack: 0, givenUp: CONNECTIONS + WAITING });
  await sleep(100);
  expect(server.stalled).toHaveLength(CONNECTIONS);
});

test("a lease is renewed on connections of its own while every write stalls", async () => {
  const server = await stallingServer();
  const lost = new AbortController();
  const { ended } = await crowd(server, { mayWrite: () => true, lost: lost.signal });
  const leadership = await becomeLeader(
    {
      client: clientOf(server),
      namespace: "n",
      name: LEASES.plural,
      identity: "first",
      timing: { leaseDurationMs: 2_000, renewDeadlineMs: 500, renewMs: 50, retryMs: 50 },
      onError: () => {},
    },
    AbortSignal.timeout(5_000),
  );
  await sleep(1_000);
  expect(leadership.holds()).toBe(true);
  expect(server.leases.filter((method) => method === "PATCH").length).toBeGreaterThan(5);
  await leadership.release();
  lost.abort();
  await ended;
});

/** Nothing of this process runs meanwhile, as after SIGSTOP; the kernel goes on. */
function freeze(durationMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs);
}

test.each([
  { name: "that waits for its connection", warmUp: false },
  { name: "that is about to use an idle connection", warmUp: true },
])("a write $name when the process freezes is not sent when it wakes", async ({ warmUp }) => {
  const server = await stallingServer();
  const client = clientOf(server);
  if (warmUp) await client.get(LEASES, { namespace: "n", name: "a" });
  const leadsUntil = performance.now() + 200;
  const asked: boolean[] = [];
  const guarded = client.guarded({
    mayWrite: () => (asked.push(performance.now() < leadsUntil), asked.at(-1) === true),
  });
  const metadata = { namespace: "n", name: "a" };
  const write = guarded.create(SERVICE_ACCOUNTS, { kind: "ServiceAccount", metadata });
  const outcome = write.catch((error: unknown) => error);
  // Microtasks only: all that the program itself has to do before the request is done, and no socket has been heard.
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
  expect(asked).toEqual([true, true]);
  freeze(300);
  expect(await outcome).toBeInstanceOf(WriteForbiddenError);
  await sleep(100);
  expect(server.stalled).toEqual([]);
});

test("lost leadership resets its connections, so that the kernel delivers nothing later", async () => {
  const server = await stallingServer();
  const lost = new AbortController();
  const { ended } = await crowd(server, { mayWrite: () => true, lost: lost.signal });
  const errors = server.stalled.map(async ({ socket }) => {
    if (socket === null) throw new Error("no socket");
    return new Promise((resolve) => socket.once("error", resolve));
  });
  lost.abort();
  await ended;
  for (const error of await Promise.all(errors))
    expect(error).toMatchObject({ code: "ECONNRESET" });
});

test("a server that is not there is told at once", async () => {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  server.close();
  for (const scheme of ["http", "https"]) {
    const client = createKubeClient({
      server: `${scheme}://127.0.0.1:${address.port}`,
      ca: () => undefined,
      clientCertificate: undefined,
      token: () => undefined,
    });
    ends.push(() => client.close());
    await expect(client.raw("/version")).rejects.toMatchObject({ cause: { code: "ECONNREFUSED" } });
  }
});

test("an authority that cannot be read is told, and no connection is left without its end", async () => {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ends.push(async () => void server.close());
  let connections = 0;
  server.on("connection", () => void connections++);
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const client = createKubeClient({
    server: `https://127.0.0.1:${address.port}`,
    ca: () => {
      throw new Error("no such file");
    },
    clientCertificate: undefined,
    token: () => undefined,
  });
  ends.push(() => client.close());
  for (let attempt = 0; attempt < 2; attempt++) {
    await expect(client.raw("/version")).rejects.toMatchObject({
      cause: { message: "no such file" },
    });
  }
  await sleep(50);
  expect(connections).toBe(0);
});

test("a deletion whose answer is cut off may have left something: it is no end", async () => {
  const left = JSON.stringify({
    kind: "ServiceAccount",
    metadata: { name: "a", uid: "1", resourceVersion: "7", finalizers: ["held"] },
  });
  const answers = [left.slice(0, left.length / 2), left];
  const server = createServer((request, response) => {
    request.resume();
    response.end(answers.shift());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ends.push(async () => void server.close());
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const client = createKubeClient({
    server: `http://127.0.0.1:${address.port}`,
    ca: () => undefined,
    clientCertificate: undefined,
    token: () => undefined,
  });
  ends.push(() => client.close());
  const remove = () => client.remove(SERVICE_ACCOUNTS, { namespace: "b", name: "a" });
  await expect(remove()).rejects.toThrow("expected a JSON object");
  expect(await remove()).toMatchObject({ metadata: { uid: "1" } });
});
