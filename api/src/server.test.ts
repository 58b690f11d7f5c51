import { once } from "node:events";
import { connect, Socket } from "node:net";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { z } from "zod";
import { Problem } from "./problem.ts";
import { createServer } from "./server.ts";

test("a client that sends far too much still reads why it is refused", async () => {
  const server = createServer({ log: { level: "silent" }, bodyBytesMax: 1_000_000 });
  server.post("/", async () => "taken");
  const url = await server.listen({ host: "127.0.0.1", port: 0 });
  try {
    for (const _ of Array.from({ length: 5 })) {
      const body = JSON.stringify("x".repeat(10_000_000));
      const headers = { "content-type": "application/json" };
      const response = await fetch(url, { method: "POST", headers, body });
      expect(response.status).toBe(413);
      expect(await response.json()).toMatchObject({ code: "body_too_large", status: 413 });
    }
  } finally {
    await server.close();
  }
});

test.for<[what: string, bytes: string, status: number, code: string]>([
  ["no HTTP at all", "hello\r\n\r\n", 400, "bad_request"],
  [
    "too many headers",
    `GET / HTTP/1.1\r\nx: ${"x".repeat(20_000)}\r\n\r\n`,
    431,
    "headers_too_large",
  ],
  [
    "a path that is no URL",
    "GET /%zz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    400,
    "bad_request",
  ],
  [
    "a parameter that no id could be",
    `GET /things/${"x".repeat(1_500)} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`,
    404,
    "not_found",
  ],
])("even %s is answered with a problem", async ([, bytes, status, code]) => {
  const server = createServer({ log: { level: "silent" }, bodyBytesMax: 1_000 });
  server.get("/things/:id", async () => "here");
  const { port, hostname } = new URL(await server.listen({ host: "127.0.0.1", port: 0 }));
  try {
    const answer = await text(connect(Number(port), hostname).end(bytes));
    const [head = "", body = ""] = answer.split("\r\n\r\n", 2);
    expect(head).toContain(`HTTP/1.1 ${status} `);
    expect(head).toMatch(/content-type: application\/problem\+json/i);
    expect(head).toContain("x-content-type-options: nosniff");
    expect(Problem.parse(JSON.parse(body))).toMatchObject({ code, status });
  } finally {
    await server.close();
  }
});

test.each([
  { what: "a head", bytes: "GET / HTTP/1.1\r\nhost: x\r\nx: " },
  {
    what: "a body",
    bytes:
      "POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n",
  },
])("$what that comes a byte at a time is given up when its time is over", async ({ bytes }) => {
  const limits = { bodyBytesMax: 1_000, requestLimitMs: 300 };
  const server = createServer({ log: { level: "silent" }, ...limits });
  server.post("/", async () => "taken");
  const { port, hostname } = new URL(await server.listen({ host: "127.0.0.1", port: 0 }));
  const socket = connect(Number(port), hostname);
  const trickle = setInterval(() => socket.write("x"), 20);
  try {
    socket.write(bytes);
    const answer = await text(socket);
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(Problem.parse(JSON.parse(answer.split("\r\n\r\n")[1] ?? ""))).toMatchObject({
      code: "request_timeout",
    });
  } finally {
    clearInterval(trickle);
    socket.destroy();
    await server.close();
  }
});

test("an answer that nobody reads is not kept for ever", async () => {
  const server = createServer({ log: { level: "silent" }, bodyBytesMax: 1_000 });
  server.get("/", async () => "x".repeat(20_000_000));
  const { port, hostname } = new URL(await server.listen({ host: "127.0.0.1", port: 0 }));
  const { server: listening } = server;
  expect(listening.timeout).toBe(60_000);
  listening.timeout = 200; // the same, sooner
  const accepted = once(listening, "connection");
  const reader = connect(Number(port), hostname).pause();
  try {
    reader.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    const [connection] = z.tuple([z.instanceof(Socket)]).parse(await accepted);
    await once(connection, "close");
    expect(reader.destroyed).toBe(false);
  } finally {
    reader.destroy();
    await server.close();
  }
});

const UPGRADE = "connection: upgrade\r\nupgrade: websocket\r\n";

test.each([
  ["a file", ""],
  ["a WebSocket", UPGRADE],
])("whoever does not read %s does not hold the end up", async (_, header) => {
  const log = { level: "silent" };
  const server = createServer({ log, bodyBytesMax: 1_000, endingLimitMs: 100 });
  const parts = Array.from({ length: 200 }, () => "x".repeat(100_000));
  server.get("/", async (_request, reply) => reply.send(Readable.from(parts)));
  server.server.on("upgrade", (_request, socket) => socket.end("x".repeat(20_000_000)));
  const { port, hostname } = new URL(await server.listen({ host: "127.0.0.1", port: 0 }));
  const reader = connect(Number(port), hostname);
  reader.on("error", () => {}); // it is cut off
  try {
    reader.write(`GET / HTTP/1.1\r\nhost: x\r\n${header}\r\n`);
    await once(reader, "readable"); // and no more is read
    await server.close();
    expect(server.server.listening).toBe(false);
  } finally {
    reader.destroy();
  }
});

test("a path that does not take a method says which it takes", async () => {
  const server = createServer({ log: { level: "silent" }, bodyBytesMax: 1_000 });
  server.get("/things/:id/parts.csv", async () => "here");
  server.delete("/things/:id/parts.csv", async () => "gone");
  const answer = await server.inject({ method: "PATCH", url: "/things/1/parts.csv?x=1" });
  expect(answer.statusCode).toBe(405);
  expect(answer.headers["allow"]).toBe("GET, DELETE");
  expect(answer.json()).toMatchObject({ code: "method_not_allowed" });
  const query = await server.inject({ method: "QUERY", url: "/things/1/parts.csv" });
  expect(query.statusCode).toBe(405);
  for (const url of ["/things/1/2/parts.csv", "/things/1/partsxcsv"]) {
    expect((await server.inject({ method: "PATCH", url })).statusCode).toBe(404);
  }
});

const NOT_VALID: unknown = expect.objectContaining({ code: "validation_failed" });

test.for<[body: string, status: number, answer: unknown]>([
  ['{"open":{"id":"a","__proto__":{"admin":true}}}', 200, { open: { id: "a" }, isAdmin: false }],
  ['{"open":{"id":"a","constructor":{"prototype":1}}}', 200, { open: { id: "a" }, isAdmin: false }],
  ['{"open":{"id":"a"},"__proto__":{"admin":true}}', 422, NOT_VALID],
  ['{"open":{"id":"a"},"constructor":{"prototype":1}}', 422, NOT_VALID],
  ['{"__proto__":{"open":{"id":"a"}}}', 422, NOT_VALID],
])("%s is judged by the schema alone", async ([body, status, expected]) => {
  const server = createServer({ log: { level: "silent" }, bodyBytesMax: 1_000 });
  const schema = { body: z.strictObject({ open: z.object({ id: z.string() }) }) };
  server.post("/", { schema }, async (request) => ({
    ...request.body,
    isAdmin: "admin" in request.body.open,
  }));
  const headers = { "content-type": "application/json" };
  const answer = await server.inject({ method: "POST", url: "/", headers, body });
  expect(answer.statusCode).toBe(status);
  expect(answer.json()).toEqual(expected);
});
