import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { afterEach, expect, test } from "vitest";
import { exampleReport } from "./bot/example-facts.ts";
import { createReports, isStale } from "./reports.ts";

const line = (botName: string, epoch: number, { generation = 1, ageMs = 0 } = {}) => ({
  botName,
  namespace: "tradingbots-00",
  podUid: `pod-${epoch}`,
  epoch,
  report: exampleReport({ generation }).report,
  receivedAt: "2026-01-01T00:00:00Z", // another machine's clock: it counts for nothing here
  ageMs,
});

const ofBucket = (told: string) => (told === "heard" ? told : `tradingbots-00/${told}`);
const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

async function follow() {
  const streams: ServerResponse[] = [];
  const authorizations: unknown[] = [];
  const server = createServer((request, response) => {
    authorizations.push(`${request.url} ${request.headers.authorization}`);
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    streams.push(response);
    response.flushHeaders();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const told: string[] = [];
  const clock = { ms: 1_000_000 };
  const reports = createReports({
    url: `http://127.0.0.1:${address.port}`,
    token: () => "projected",
    isKnown: (key) => !key.endsWith("/gone"),
    onReport: (key, latest, previous) =>
      void told.push(`${key} ${previous?.epoch ?? "-"} ${latest.epoch}`),
    onHeard: (isHeard) => void told.push(isHeard ? "heard" : "lost"),
    onError: () => {},
    clock: () => clock.ms,
  });
  reports.start();
  await expect.poll(() => streams.length).toBe(1);
  ends.push(async () => {
    await reports.stop();
    server.closeAllConnections();
    server.close();
  });
  const send = (...lines: object[]) =>
    streams.at(-1)?.write(lines.map((each) => `${JSON.stringify(each)}\n`).join(""));
  return { reports, told, streams, authorizations, send, clock };
}

test("keeps the latest report of each bot, and is heard once the journal has told all it has", async () => {
  const { reports, told, authorizations, send } = await follow();
  send(line("a", 1), line("b", 1));
  await expect.poll(() => reports.latest("tradingbots-00/b")).toBeDefined();
  expect(reports.isHeard()).toBe(false);
  send({ synced: true }, { heartbeat: true }, line("a", 2));
  await expect.poll(() => reports.latest("tradingbots-00/a")?.epoch).toBe(2);
  expect(reports.isHeard()).toBe(true);
  expect(told).toEqual([
    "tradingbots-00/a - 1",
    "tradingbots-00/b - 1",
    "heard",
    "tradingbots-00/a 1 2",
  ]);
  expect(authorizations).toEqual(["/v1/reports Bearer projected"]);
});

test("a word of an earlier epoch does not replace a later one's", async () => {
  const { reports, send } = await follow();
  send(line("a", 5), line("a", 4), line("b", 1));
  await expect.poll(() => reports.latest("tradingbots-00/b")).toBeDefined();
  expect(reports.latest("tradingbots-00/a")?.epoch).toBe(5);
});

test("a report's age is what the journal says, and from then on what passes here", async () => {
  const { reports, send, clock } = await follow();
  send(line("old", 1, { ageMs: 60_000 }), line("new", 1, { ageMs: 0 }));
  await expect.poll(() => reports.latest("tradingbots-00/new")).toBeDefined();
  const stale = () =>
    ["old", "new"].filter((name) => {
      const latest = reports.latest(`tradingbots-00/${name}`);
      return latest === undefined || isStale(latest, clock.ms);
    });
  expect(stale()).toEqual([]);
  clock.ms += 1;
  expect(stale()).toEqual(["old"]);
  clock.ms += 60_000;
  expect(stale()).toEqual(["old", "new"]);
});

test("who says the same again is not told of, and has spoken all the same", async () => {
  const { reports, told, send, clock } = await follow();
  send(line("a", 1));
  await expect.poll(() => reports.latest("tradingbots-00/a")).toBeDefined();
  clock.ms += 50_000;
  send(line("a", 1), { synced: true });
  await expect.poll(() => reports.isHeard()).toBe(true);
  expect(reports.latest("tradingbots-00/a")?.saidAtMs).toBe(clock.ms);
  send(line("a", 1, { generation: 2 }), line("b", 1));
  await expect.poll(() => reports.latest("tradingbots-00/b")).toBeDefined();
  expect(told).toEqual(["a - 1", "heard", "a 1 1", "b - 1"].map(ofBucket));
});

test("what the journal remembers of bots that are gone is not kept", async () => {
  const { reports, send } = await follow();
  send(line("gone", 1), line("a", 1), line("gone", 2), { synced: true });
  await expect.poll(() => reports.isHeard()).toBe(true);
  expect([...reports.entries()].map(([key]) => key)).toEqual(["tradingbots-00/a"]);
});

test("of a bot that is forgotten nothing is left, and another of its name begins anew", async () => {
  const { reports, told, send } = await follow();
  send(line("a", 5), line("b", 1), { synced: true });
  await expect.poll(() => reports.isHeard()).toBe(true);
  reports.forget("tradingbots-00/a");
  expect(reports.latest("tradingbots-00/a")).toBeUndefined();
  expect([...reports.entries()].map(([key]) => key)).toEqual(["tradingbots-00/b"]);
  send(line("a", 1));
  await expect.poll(() => reports.latest("tradingbots-00/a")?.epoch).toBe(1);
  expect(told.at(-1)).toBe("tradingbots-00/a - 1");
});

test("lines may be cut anywhere", async () => {
  const { reports, streams } = await follow();
  const text = `${JSON.stringify(line("ä", 1))}\n`;
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += 7) streams[0]?.write(bytes.subarray(at, at + 7));
  await expect.poll(() => reports.latest("tradingbots-00/ä")?.epoch).toBe(1);
});

test.each([
  { name: "ends", fail: (stream: ServerResponse) => stream.end() },
  { name: "breaks", fail: (stream: ServerResponse) => stream.destroy() },
  { name: "speaks nonsense", fail: (stream: ServerResponse) => stream.write("nonsense\n") },
])("a stream that $name is taken up again; what was known stays known", async ({ fail }) => {
  const { reports, told, streams, send } = await follow();
  send(line("a", 1), { synced: true });
  await expect.poll(() => reports.isHeard()).toBe(true);
  const [first] = streams;
  if (first !== undefined) fail(first);
  await expect.poll(() => streams.length, { timeout: 3_000 }).toBe(2);
  expect(reports.isHeard()).toBe(false);
  expect(reports.latest("tradingbots-00/a")).toBeDefined();
  send({ synced: true });
  await expect.poll(() => reports.isHeard()).toBe(true);
  expect(told.filter((each) => !each.includes("/"))).toEqual(["heard", "lost", "heard"]);
});
