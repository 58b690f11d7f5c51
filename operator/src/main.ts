import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import {
  becomeLeader,
  createKubeClient,
  fileToken,
  inClusterAccess,
  kubeconfigAccess,
  type Leadership,
} from "@tradingbots/kube";
import { pino } from "pino";
import { type Config, loadConfig } from "./config.ts";
import { startHealthServer } from "./health-server.ts";
import { createMetrics } from "./metrics.ts";
import { createOperator, explain } from "./operator.ts";
import { createReports } from "./reports.ts";
import { createVaultMetadata } from "./vault.ts";

/** A watch that has brought nothing for this long, not even a bookmark, makes the process not ready. */
const SILENT_MS = 300_000;
/** The journal's reports save writes at start; without the journal the operator acts all the same. */
const REPORTS_WAIT_MS = 5_000;
/** Kubernetes kills after 30 s. */
const STOP_LIMIT_MS = 20_000;

const config = loadConfig(process.env);
const log = pino({ level: config.logLevel });
const stopping = new AbortController();
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => stopping.abort(new Error(signal)));
}
process.exitCode = await run();

async function run(): Promise<number> {
  const metrics = createMetrics();
  const client = createKubeClient(await clusterAccess(config), {
    onRequest: metrics.onRequest,
    userAgent: "tradingbots-operator",
  });
  let leadership: Leadership | undefined;
  const operator = createOperator(
    { ...config },
    {
      client,
      vault: createVaultMetadata({
        address: config.vault.address,
        token: fileToken(config.vault.tokenFile),
      }),
      reports: (handlers) =>
        createReports({
          url: config.journal.url,
          token: fileToken(config.journal.tokenFile),
          ...handlers,
          onHeard: (isHeard) => log.info({ isHeard }, "journal's reports"),
          onError: (error) => log.warn({ error: explain(error) }, "the journal cannot be heard"),
        }),
      metrics,
      log,
      mayWrite: () => leadership?.holds() ?? false,
      now: () => new Date(),
    },
  );
  metrics.observe({
    queueDepth: operator.queueDepth,
    isLeader: () => leadership?.holds() ?? false,
    isJournalHeard: operator.isJournalHeard,
  });
  const health = await startHealthServer({
    port: config.port,
    metrics,
    notReadyBecause: () => notReadyBecause(operator),
  });

  let exitCode = 0;
  try {
    operator.follow();
    await operator.synced;
    log.info("following the cluster");
    leadership = await becomeLeader(
      {
        client,
        namespace: config.namespace,
        name: "tradingbots-operator",
        identity: `${config.podName}_${randomUUID()}`,
        onError: (error) => log.warn({ error: explain(error) }, "lease"),
      },
      stopping.signal,
    );
    await untilHeard(operator.isJournalHeard);
    log.info("leading");
    operator.act();
    exitCode = await ended(leadership);
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
  } finally {
    // A process that hangs while stopping would keep nobody from leading, but its pod would linger.
    setTimeout(() => process.exit(1), STOP_LIMIT_MS).unref();
    await operator.stop();
    await leadership?.release();
    health.close();
    await client.close();
  }
  log.info({ exitCode }, "stopped");
  return exitCode;
}

/** Resolves with the exit code once leadership or the process is over. A former leader starts afresh as a standby. */
async function ended({ signal }: Leadership): Promise<number> {
  const either = AbortSignal.any([signal, stopping.signal]);
  await new Promise<void>((resolve) => {
    if (either.aborted) resolve();
    else either.addEventListener("abort", () => resolve(), { once: true });
  });
  if (stopping.signal.aborted) return 0;
  log.error("the lease is lost");
  return 1;
}

async function untilHeard(isHeard: () => boolean): Promise<void> {
  const deadline = performance.now() + REPORTS_WAIT_MS;
  while (!isHeard() && performance.now() < deadline && !stopping.signal.aborted) await sleep(50);
}

async function clusterAccess({ kubeconfigPath, kubernetes }: Config) {
  if (kubeconfigPath !== undefined) return kubeconfigAccess(kubeconfigPath);
  if (kubernetes.host === undefined) {
    throw new Error("neither in a cluster nor KUBECONFIG given: there is no API server to talk to");
  }
  return inClusterAccess({ host: kubernetes.host, port: kubernetes.port });
}

function notReadyBecause(operator: {
  hasSynced(): boolean;
  lastEventAt(): number;
}): string | undefined {
  if (!operator.hasSynced()) return "the cluster's state has not been read yet";
  const silentMs = Date.now() - operator.lastEventAt();
  return silentMs > SILENT_MS
    ? `a watch has been silent for ${Math.round(silentMs / 1_000)} s`
    : undefined;
}
