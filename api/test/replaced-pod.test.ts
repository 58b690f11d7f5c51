import { SessionAnswer } from "@tradingbots/crds";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { ApiError } from "../src/errors.ts";
import { startDatabase, type TestDatabase } from "./database.ts";
import { intent } from "./journal.ts";
import { createBot, type JournalApp, type Pod, startJournalApp } from "./journal-app.ts";

/** Pods whose tokens are of the same second, before an API server that is slow, away, or wrong about them. */

/** What the API server says of the pod of a token. */
const podExists = vi.fn<(token: string) => Promise<boolean>>();
let database: TestDatabase;
let app: JournalApp;
let old: Pod;
let young: Pod;

beforeAll(async () => {
  database = await startDatabase();
  app = await startJournalApp(database, { podExists });
});
afterAll(async () => {
  await app.close();
  await database.stop();
});
beforeEach(async () => {
  podExists.mockReset();
  const botId = await createBot(database);
  [old, young] = [app.pod(botId, "old", 1), app.pod(botId, "young", 1)];
});

const session = (pod: Pod) => pod.post("/v1/session", {});
const epochOf = async (pod: Pod) => SessionAnswer.parse((await session(pod)).body).epoch;
const enter = async (pod: Pod, epoch: number, id: number) =>
  (await pod.post("/v1/intents", { epoch, intent: intent(id) })).status;

async function openWithLease(pod: Pod): Promise<void> {
  expect(await epochOf(pod)).toBe(1);
  expect((await pod.post("/v1/lease", { epoch: 1 })).status).toBe(200);
}

test("while the API server thinks, nothing of the bot waits", async () => {
  await openWithLease(old);
  const answer = Promise.withResolvers<boolean>();
  podExists.mockReturnValue(answer.promise);
  const asked = session(young);
  await vi.waitFor(() => expect(podExists).toHaveBeenCalledTimes(1));
  expect(await enter(old, 1, 1)).toBe(200);
  const { rows } = await database.superuser.query(
    "select from pg_stat_activity where state = 'idle in transaction' and datname = current_database()",
  );
  expect(rows).toEqual([]);
  answer.resolve(true);
  const { epoch, openIntents } = SessionAnswer.parse((await asked).body);
  expect([epoch, openIntents.length]).toEqual([2, 1]);
  expect(await enter(old, 1, 2)).toBe(409);
});

test("an API server that is away lets nobody take over, and the same pod asks again", async () => {
  await openWithLease(old);
  podExists.mockRejectedValueOnce(new ApiError("cluster_unavailable", "away"));
  expect(await session(young)).toMatchObject({
    status: 503,
    body: { code: "cluster_unavailable" },
  });
  expect(await enter(old, 1, 1)).toBe(200);
  podExists.mockResolvedValue(true);
  expect(await epochOf(young)).toBe(2);
});

test("a pod that is gone takes over no more", async () => {
  expect(await epochOf(young)).toBe(1);
  podExists.mockResolvedValue(false);
  expect(await session(old)).toMatchObject({ status: 409, body: { code: "stale_epoch" } });
});

test("a pod that was replaced takes over no more, although the API server remembers it as alive", async () => {
  podExists.mockResolvedValue(true);
  expect(await epochOf(old)).toBe(1);
  expect(await epochOf(young)).toBe(2);
  expect(await session(old)).toMatchObject({ status: 409, body: { code: "stale_epoch" } });
  expect(await epochOf(young)).toBe(3); // a new process of the living pod
});

test("an answer does not count against a pod that was heard while it was under way", async () => {
  const botOf = await createBot(database);
  const [first, second, third] = ["1", "2", "3"].map((uid) => app.pod(botOf, uid, 1));
  if (first === undefined || second === undefined || third === undefined) throw new Error("three");
  expect(await epochOf(first)).toBe(1);
  const answer = Promise.withResolvers<boolean>();
  podExists.mockReturnValueOnce(answer.promise).mockResolvedValue(true);
  const asked = session(second);
  await vi.waitFor(() => expect(podExists).toHaveBeenCalledTimes(1));
  expect(await epochOf(third)).toBe(2);
  answer.resolve(true);
  expect(await asked).toMatchObject({ status: 412, body: { code: "changed_meanwhile" } });
  expect((await third.post("/v1/lease", { epoch: 2 })).status).toBe(200);
});
