import { createServer as createHttpServer, type ServerResponse } from "node:http";
import { collectDefaultMetrics, Histogram, Registry } from "prom-client";
import type { Server } from "./server.ts";

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** A registry with the process's own metrics. */
export function createMetrics(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
}

/** Times every request by route, so that ids do not multiply the series. */
export function observeRequests(server: Server, registry: Registry): void {
  const duration = new Histogram({
    name: "http_request_duration_seconds",
    help: "Time from the request's arrival to the end of its answer.",
    labelNames: ["method", "route", "status"],
    buckets: SECONDS,
    registers: [registry],
  });
  // By route, method and status: to find a series by its labels takes as long as a small route.
  const known = new Map<string, Pick<Histogram.Internal<string>, "observe">>();
  server.addHook("onResponse", (request, reply, done) => {
    const { method, routeOptions } = request;
    const { url: route = "unknown" } = routeOptions;
    const status = String(reply.statusCode);
    const key = `${status} ${method} ${route}`;
    let series = known.get(key);
    if (series === undefined) known.set(key, (series = duration.labels({ method, route, status })));
    series.observe(reply.elapsedTime / 1_000);
    done();
  });
}

/** Serves /metrics on a port of its own, which no ingress leads to. */
export async function listenMetrics(
  registry: Registry,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const server = createHttpServer((request, response) => {
    if (request.url === "/metrics") void answer(response, registry);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no TCP port was given");
  return {
    port: address.port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections(); // one that says or reads nothing would hold the end up
      }),
  };
}

async function answer(response: ServerResponse, registry: Registry): Promise<void> {
  const text = await registry.metrics();
  response.writeHead(200, { "content-type": registry.contentType }).end(text);
}
