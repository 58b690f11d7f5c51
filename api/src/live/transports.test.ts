import { once } from "node:events";
import { createServer, get, type IncomingMessage } from "node:http";
import { connect, createServer as createTcpServer, type Server, type Socket } from "node:net";
import { buffer, text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { z } from "zod";
import { createListeners } from "./listeners.ts";
import { eventStreamTransport, webSocketTransport } from "./transports.ts";
import { closeFrame } from "./web-socket.ts";

const USER = { userId: "user-1", sessionId: "session-1" };
/** Of a kilobyte each: more than any kernel keeps for a reader. */
const EVENTS_MAX = 100_000;

/** Tells the only listener things until it is dropped: nobody reads meanwhile, because it all happens in one turn. */
function tellUntilDropped(listeners: ReturnType<typeof createListeners>): void {
  for (let id = 1; listeners.count() === 1 && id < EVENTS_MAX; id += 1)
    listeners.give(USER.userId, [{ id, text: `{"id":"${id}","data":"${"x".repeat(1_000)}"}` }]);
  expect(listeners.count()).toBe(0);
}

async function portOf(server: Server): Promise<number> {
  await once(server.listen(0, "127.0.0.1"), "listening");
  return z.object({ port: z.int() }).parse(server.address()).port;
}

test("whoever does not read a WebSocket finds the close code 1013 behind what was sent", async () => {
  const listeners = createListeners(() => 0);
  await using server = createTcpServer();
  const accepted = new Promise<Socket>((resolve) => server.once("connection", resolve));
  const reader = connect(await portOf(server), "127.0.0.1").pause();
  const socket = await accepted;
  const place = { caller: USER, after: 0 };
  listeners.add(place, (leave) => webSocketTransport(socket, leave));
  tellUntilDropped(listeners);
  const goodbye = closeFrame(1013, "too_slow");
  expect((await buffer(reader)).subarray(-goodbye.length)).toEqual(goodbye);
});

test("whoever is cut off from server-sent events comes back at a time of their own, within ten seconds", async () => {
  await using server = createServer((_, response) => {
    eventStreamTransport(response, () => {}).end("going_away");
  });
  const url = `http://127.0.0.1:${await portOf(server)}`;
  const waitsMs = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const stream = await (await fetch(url)).text();
      return Number(/^retry: (\d+)\n\n/.exec(stream)?.[1]);
    }),
  );
  expect(new Set(waitsMs).size).toBeGreaterThan(10);
  expect(waitsMs.every((waitMs) => waitMs >= 1_000 && waitMs < 10_000)).toBe(true);
});

test("whoever does not read server-sent events finds the reason behind what was sent", async () => {
  const listeners = createListeners(() => 0);
  const place = { caller: USER, after: 0 };
  await using server = createServer((_, response) => {
    listeners.add(place, (leave) => eventStreamTransport(response, leave));
  });
  const port = await portOf(server);
  const answer = await new Promise<IncomingMessage>((resolve) => {
    get({ port, host: "127.0.0.1" }, resolve);
  });
  tellUntilDropped(listeners);
  expect(await text(answer)).toMatch(/\n\nevent: end\ndata: \{"reason":"too_slow"\}\n\n$/);
});
