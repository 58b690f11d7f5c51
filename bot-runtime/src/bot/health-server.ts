import { createServer, type Server } from "node:http";

export interface Health {
  /** What the process does comes to an end; the kubelet starts another one otherwise. */
  readonly alive: () => boolean;
  /** The process has looked at the exchange and manages what it found. */
  readonly ready: () => boolean;
  readonly metrics: () => string;
}

/** `/healthz` (the event loop answers, and nothing that was begun hangs), `/readyz` and `/metrics`. */
export async function startHealthServer(port: number, health: Health): Promise<Server> {
  const pages: Readonly<Record<string, () => [number, string]>> = {
    "/healthz": () => (health.alive() ? [200, "ok\n"] : [503, "a turn does not end\n"]),
    "/readyz": () =>
      health.ready() ? [200, "ok\n"] : [503, "not reconciled with the exchange yet\n"],
    "/metrics": () => [200, health.metrics()],
  };
  const server = createServer((request, response) => {
    const page = pages[request.url ?? ""];
    const [status, body] = page?.() ?? [404, "not found\n"];
    response.writeHead(status, { "content-type": "text/plain; version=0.0.4" }).end(body);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, resolve);
  });
  return server;
}
