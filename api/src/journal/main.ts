import { once } from "node:events";
import { createKubeClient, inClusterAccess, kubeconfigAccess } from "@tradingbots/kube";
import { connectionOptions, createPool } from "../database.ts";
import { createMetrics } from "../metrics.ts";
import { LIVE_CHANNEL } from "../live/channel.ts";
import { createAnnouncer } from "./announcer.ts";
import { buildJournal } from "./app.ts";
import { loadJournalConfig } from "./config.ts";
import { followHalts } from "./halts.ts";
import { podExists } from "./living-pod.ts";
import { createReportHub, REPORTS_CHANNEL } from "./report-hub.ts";
import { recentReporters } from "./reports.ts";
import { createTokenVerifier } from "./tokens.ts";

/** A transaction takes about 2 ms, so this many waiting per connection are served within 20 ms. */
const REQUESTS_PER_CONNECTION = 8;

/** A bot waits three seconds for an answer: whatever takes longer it sends again. */
const STATEMENT_LIMIT_MS = 5_000;

/** A crash between commit and NOTIFY loses at most one flush; a restarted pod is back well within this time. */
const REPEATED_AT_START_SECONDS = 300;

const config = loadJournalConfig(process.env);
await using stack = new AsyncDisposableStack();

const pool = stack.adopt(
  createPool({
    ...config.database,
    connectionsMax: config.connectionsMax,
    statementLimitMs: STATEMENT_LIMIT_MS,
  }),
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
const reported = stack.adopt(
  createAnnouncer({ database: pool, channel: REPORTS_CHANNEL, onError }),
  (open) => open.close(),
);
const news = stack.adopt(
  createAnnouncer({ database: pool, channel: LIVE_CHANNEL, onError }),
  (open) => open.close(),
);
const halts = stack.adopt(
  followHalts({
    client,
    database: pool,
    onError: (error) => app.log.warn({ err: error }, "halts may be missed"),
  }),
  (open) => open.stop(),
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
    halts: halts.known,
    hub,
    reported,
    news,
    operatorSubject: config.operatorSubject,
    requestsMax: config.connectionsMax * REQUESTS_PER_CONNECTION,
    registry: createMetrics(),
    log: { level: config.logLevel },
  }),
  (open) => open.close(),
);
halts.start(); // what it has to say goes to the log of `app`
await app.listen({ host: config.host, port: config.port });
await repeatRecent().catch(onError);

await Promise.race([once(process, "SIGTERM"), once(process, "SIGINT")]);
app.log.info("ending: requests under way are finished first");

/** Makes good what a process that died between a commit and its NOTIFY did not announce. */
async function repeatRecent(): Promise<void> {
  for (const botId of await recentReporters(pool, REPEATED_AT_START_SECONDS))
    reported.announce(botId);
}
