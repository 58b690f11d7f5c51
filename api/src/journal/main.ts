import { once } from "node:events";
import { createKubeClient, inClusterAccess, kubeconfigAccess } from "@tradingbots/kube";
import { connectionOptions, createPool } from "../database.ts";
import { createMetrics } from "../metrics.ts";
import { buildJournal } from "./app.ts";
import { loadJournalConfig } from "./config.ts";
import { podExists } from "./living-pod.ts";
import { createReportAnnouncer } from "./report-announcer.ts";
import { createReportHub } from "./report-hub.ts";
import { createTokenVerifier } from "./tokens.ts";

/** A transaction takes about 2 ms, so this many waiting per connection are served within 20 ms. */
const REQUESTS_PER_CONNECTION = 8;

const config = loadJournalConfig(process.env);
await using stack = new AsyncDisposableStack();

const pool = stack.adopt(
  createPool({ ...config.database, connectionsMax: config.connectionsMax }),
  (open) => open.end(),
);
const access =
  config.kubeconfig === undefined
    ? inClusterAccess({
        host: process.env["KUBERNETES_SERVICE_HOST"] ?? "kubernetes.default.svc",
        port: process.env["KUBERNETES_SERVICE_PORT"] ?? "443",
      })
    : await kubeconfigAccess(config.kubeconfig);
const client = stack.adopt(createKubeClient(access), (open) => open.close());
const onError = (error: unknown) => app.log.warn({ err: error }, "reports are delayed");
const announcer = stack.adopt(createReportAnnouncer({ database: pool, onError }), (open) =>
  open.close(),
);
const hub = createReportHub({
  database: pool,
  direct: connectionOptions(config.directDatabase),
  onError,
});
const app = stack.adopt(
  await buildJournal({
    pool,
    tokens: createTokenVerifier({ raw: client.raw, now: Date.now }),
    podExists: (token) => podExists(client, token),
    hub,
    announcer,
    operatorSubject: config.operatorSubject,
    requestsMax: config.connectionsMax * REQUESTS_PER_CONNECTION,
    registry: createMetrics(),
    log: { level: config.logLevel },
  }),
  (open) => open.close(),
);
await app.listen({ host: config.host, port: config.port });
await announcer.repeatRecent().catch(onError);

await Promise.race([once(process, "SIGTERM"), once(process, "SIGINT")]);
app.log.info("ending: requests under way are finished first");
