import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { Metrics } from "./metrics.ts";

export interface HealthServerOptions {
  readonly port: number;
  readonly metrics: Pick<Metrics, "text" | "contentType">;
  /** Undefined when ready, else why not. */
  readonly notReadyBecause: () => string | undefined;
}

/** Serves /metrics, /healthz (the event loop answers) and /readyz (the stores are complete and alive). */
export async function startHealthServer(options: HealthServerOptions): Promise<Server> {
  const server = createServer((request, response) => {
    const reply = (status: number, text: string, type = "text/plain") => {
      response.writeHead(status, { "content-type": type });
      response.end(text);
    };
    switch (request.url ?? "") {
      case "/metrics":
        options.metrics.text().then(
          (text) => reply(200, text, options.metrics.contentType),
          () => reply(500, "metrics could not be collected"),
        );
        break;
      case "/healthz":
        reply(200, "ok");
        break;
      case "/readyz": {
        const reason = options.notReadyBecause();
        reply(reason === undefined ? 200 : 503, reason ?? "ok");
        break;
      }
      default:
        reply(404, "there are /metrics, /healthz and /readyz");
    }
  });
  server.requestTimeout = 5_000;
  server.listen(options.port);
  await once(server, "listening");
  return server;
}
