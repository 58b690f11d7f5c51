import { once } from "node:events";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { createMetrics, listenMetrics } from "./metrics.ts";

test("whoever asks half a question does not hold the end up", async () => {
  const host = "127.0.0.1";
  const metrics = await listenMetrics(createMetrics(), { host, port: 0 });
  const asker = connect(metrics.port, host);
  asker.on("error", () => {}); // it is cut off
  await once(asker, "connect");
  await new Promise((resolve) => void asker.write("GET /metrics HTTP/1.1\r\n", resolve));
  expect((await fetch(`http://${host}:${metrics.port}/metrics`)).status).toBe(200); // heard by now
  await metrics.close();
});
