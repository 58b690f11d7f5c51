import { afterAll, beforeAll, expect, test } from "vitest";
import { startHealthServer } from "./health-server.ts";
import { createMetrics } from "./metrics.ts";

const metrics = createMetrics();
let server: Awaited<ReturnType<typeof startHealthServer>>;
let reason: string | undefined;
let url: string;

beforeAll(async () => {
  server = await startHealthServer({ port: 0, metrics, notReadyBecause: () => reason });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  url = `http://127.0.0.1:${address.port}`;
});
afterAll(() => void server.close());

async function get(path: string): Promise<string> {
  const response = await fetch(url + path);
  return `${response.status} ${await response.text()}`;
}

test("ready, or why not; alive in either case", async () => {
  expect(await get("/readyz")).toBe("200 ok");
  reason = "the cluster's state has not been read yet";
  expect(await get("/readyz")).toBe(`503 ${reason}`);
  expect(await get("/healthz")).toBe("200 ok");
});

test("writes are counted by resource, without names; leases and reads are not writes", async () => {
  const at = "/apis/tradingbots.dev/v1alpha1/namespaces/tradingbots-00/tradingbots/bot-1/status";
  metrics.onRequest({ method: "PATCH", path: at, status: 200, durationMs: 1 });
  metrics.onRequest({
    method: "GET",
    path: "/api/v1/namespaces/a/pods",
    status: 200,
    durationMs: 1,
  });
  const lease = "/apis/coordination.k8s.io/v1/namespaces/a/leases/b";
  metrics.onRequest({ method: "PATCH", path: lease, status: 200, durationMs: 1 });
  const text = await get("/metrics");
  const writes = text
    .split("\n")
    .filter((each) => each.startsWith("tradingbots_operator_writes_total"));
  expect(writes).toEqual([
    'tradingbots_operator_writes_total{method="PATCH",resource="tradingbots/status"} 1',
  ]);
  expect(text).toContain('resource="pods",status="200"} 1');
});
