import { expect, test } from "vitest";
import { z } from "zod";
import { createServer } from "./server.ts";

const Line = z.looseObject({ time: z.number(), reqId: z.uuid(), ms: z.number().optional() });

/** Without what differs each time. */
async function linesOf(url: string, level = "info"): Promise<readonly unknown[]> {
  const lines: string[] = [];
  const log = { level, stream: { write: (line: string) => void lines.push(line) } };
  const server = createServer({ log, bodyBytesMax: 1_000 });
  server.get("/loud", async () => "here");
  server.get("/quiet", { logLevel: "warn" }, async () => "here");
  server.get("/warning", async (request) => {
    request.log.warn({ what: "tea" }, "is cold");
    return "here";
  });
  const { headers } = await server.inject(url);
  return lines.map((text) => {
    expect(text).toMatch(/^\{.*\}\n$/);
    const { time: _, ms: _ms, reqId, ...line } = Line.parse(JSON.parse(text));
    expect(reqId).toBe(headers["x-request-id"]);
    return line;
  });
}

const req = { method: "GET", path: "/loud", address: "127.0.0.1" };
const ANSWERED = { level: 30, req, status: 200, msg: "answered" };

test("one line tells of an answered request, without its query", async () => {
  expect(await linesOf('/loud?secret="x"')).toEqual([ANSWERED]);
});

test("what else a request says bears the same id", async () => {
  expect(await linesOf("/warning")).toEqual([
    { level: 40, what: "tea", msg: "is cold" },
    { ...ANSWERED, req: { ...req, path: "/warning" } },
  ]);
});

test.each([
  ["/quiet", "info"],
  ["/loud", "warn"],
])("%s is not told of at the level %s", async (url, level) => {
  expect(await linesOf(url, level)).toEqual([]);
});
