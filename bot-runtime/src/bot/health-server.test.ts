import { once } from "node:events";
import { afterEach, expect, test } from "vitest";
import { startHealthServer } from "./health-server.ts";

let server: Awaited<ReturnType<typeof startHealthServer>>;
afterEach(async () => {
  server.close();
  await once(server, "close");
});

test("a process that is not ready stays, and one in which something hangs does not", async () => {
  const health = { alive: true, ready: false };
  server = await startHealthServer(0, {
    alive: () => health.alive,
    ready: () => health.ready,
    metrics: () => "",
  });
  const address = server.address();
  const port = typeof address === "object" ? address?.port : address;
  const ask = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).status;
  expect([await ask("/healthz"), await ask("/readyz")]).toEqual([200, 503]);
  Object.assign(health, { alive: false, ready: true });
  expect([await ask("/healthz"), await ask("/readyz")]).toEqual([503, 200]);
});
