import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createHttpClient } from "./http-client.ts";

let server: Server;
let seen: string[];
/** Answers that the server breaks: it closes the kept connection instead. */
let breaks: number;

beforeEach(async () => {
  seen = [];
  breaks = 0;
  server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    if (breaks > 0) {
      breaks -= 1;
      request.socket.destroy();
      return;
    }
    request.resume().on("end", () => response.end("{}"));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

function address(path: string): string {
  const given = server.address();
  const isPort = (value: typeof given): value is AddressInfo => typeof value === "object";
  if (!isPort(given)) throw new Error("no port");
  return `http://127.0.0.1:${given.port}${path}`;
}

const post = (path: string) => ({
  url: address(path),
  call: { method: "POST", headers: {}, body: "{}", signal: AbortSignal.timeout(5_000) },
});

test("a POST on a kept connection that the server closes fails once, and is not sent again", async () => {
  const send = createHttpClient();
  const first = post("/first");
  await (await send(first.url, first.call)).text();
  breaks = 1;
  const order = post("/order");
  await expect(send(order.url, order.call)).rejects.toMatchObject({ code: "ECONNRESET" });
  expect(seen).toEqual(["POST /first", "POST /order"]);
  const next = post("/next");
  await (await send(next.url, next.call)).text();
  expect(seen.length).toBe(3);
});

test("a POST that a redirect answers is not sent elsewhere", async () => {
  server.removeAllListeners("request");
  server.on("request", (request, response) => {
    seen.push(`${request.method} ${request.url}`);
    response.writeHead(307, { location: "/again" }).end();
  });
  const order = post("/order");
  const answer = await createHttpClient()(order.url, order.call);
  expect([answer.status, seen.length]).toEqual([307, 1]);
});

test("an answer whose body stalls, or drips, ends when the caller's time is over", async () => {
  server.removeAllListeners("request");
  server.on("request", (request, response) => {
    response.writeHead(200, { "content-length": 1_000 }).write("{");
    if (request.url !== "/drips") return;
    const drip = setInterval(() => response.write(" "), 10);
    response.once("close", () => clearInterval(drip));
  });
  const send = createHttpClient();
  for (const path of ["/stalls", "/drips"]) {
    const { url, call } = post(path);
    const signal = AbortSignal.timeout(200);
    await expect(send(url, { ...call, signal })).rejects.toMatchObject({ name: "AbortError" });
  }
});
