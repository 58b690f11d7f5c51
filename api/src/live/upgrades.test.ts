import { once } from "node:events";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { createServer } from "../server.ts";
import { routeUpgrades } from "./upgrades.ts";

test("whoever asks for a WebSocket before their last request is answered is cut off, and nobody else", async () => {
  const server = createServer({ log: { level: "silent" }, bodyBytesMax: 1_000 });
  server.get("/slow", async ({ raw }) => void (await once(raw.socket, "close")));
  server.get("/events", async () => "events");
  routeUpgrades(server);
  const address = new URL(await server.listen({ port: 0, host: "127.0.0.1" }));
  const client = connect(Number(address.port), address.hostname);
  client.write(
    "GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET /events HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
  );
  client.resume();
  await once(client, "close");
  expect((await fetch(new URL("/events", address))).status).toBe(200);
  await server.close();
});
