import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { Pool } from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { startDatabase, type TestDatabase } from "./database.ts";
import { createBot, type JournalApp, type Pod, startJournalApp } from "./journal-app.ts";

const REQUESTS_MAX = 2;
const ALL_WELL = Array.from({ length: REQUESTS_MAX }, () => 200);

let database: TestDatabase;
let journal: JournalApp;
let pool: Pool;
let port: number;
let pod: Pod;
let request: string;
let verifying: Promise<void> | undefined;

beforeAll(async () => {
  database = await startDatabase();
});
afterAll(() => database.stop());
beforeEach(async () => {
  verifying = undefined;
  journal = await startJournalApp(database, {
    requestsMax: REQUESTS_MAX,
    verifying: async () => verifying,
    watch: (made) => (pool = made),
  });
  port = Number(new URL(await journal.app.listen({ host: "127.0.0.1", port: 0 })).port);
  const bot = await createBot(database);
  pod = journal.pod(bot, "pod", 1);
  request = [
    "POST /v1/session HTTP/1.1",
    "host: x",
    `authorization: Bearer ${bot}|pod|1`,
    "content-type: application/json",
    "content-length: 2",
    "",
    "{}",
  ].join("\r\n");
});
afterEach(async () => {
  await journal.close();
});

/** Sends requests on one connection and leaves when all have arrived; resolves when the journal knows. */
async function askAndLeave(requests: number): Promise<void> {
  const { server } = journal.app;
  let arrived = 0;
  const allArrived = new Promise<void>((resolve) => {
    server.on("request", function count() {
      arrived += 1;
      if (arrived < requests) return;
      server.off("request", count);
      resolve();
    });
  });
  const accepted = new Promise<Socket>((resolve) => server.once("connection", resolve));
  const client = connect(port, "127.0.0.1").on("error", () => {});
  client.write(request.repeat(requests));
  const socket = await accepted;
  await allArrived;
  const left = once(socket, "close");
  client.destroy();
  await left;
}

/** As many requests at once as there is room for. */
async function statusesOfAsMany(): Promise<readonly number[]> {
  const answers = Array.from({ length: REQUESTS_MAX }, () => pod.post("/v1/session", {}));
  return (await Promise.all(answers)).map(({ status }) => status);
}

test("requests on one connection whose client leaves make room, the waiting ones too", async () => {
  const connections = await Promise.all(
    Array.from({ length: pool.options.max }, () => pool.connect()),
  );
  await askAndLeave(REQUESTS_MAX);
  const statuses = statusesOfAsMany();
  await expect.poll(() => pool.waitingCount).toBe(2 * REQUESTS_MAX);
  for (const connection of connections) connection.release();
  expect(await statuses).toEqual(ALL_WELL);
});

test("whoever leaves while their token is verified takes no room", async () => {
  const verified = Promise.withResolvers<void>();
  verifying = verified.promise;
  for (let clients = 0; clients <= REQUESTS_MAX; clients++) await askAndLeave(1);
  verified.resolve();
  expect(await statusesOfAsMany()).toEqual(ALL_WELL);
});
