import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import {
  becomeLeader,
  createKubeClient,
  type ElectionOptions,
  fileText,
  inClusterAccess,
  type KubeClient,
  kubeconfigAccess,
  type Leadership,
} from "@tradingbots/kube";
import { pino } from "pino";
import { type Config, loadConfig } from "./config.ts";
import { startHealthServer } from "./health-server.ts";
import { createBotLeases } from "./leases.ts";
import { createMetrics, type Metrics } from "./metrics.ts";
import { createOperator, explain, type OperatorDeps } from "./operator.ts";
import { createReports } from "./reports.ts";
import { createVaultMetadata } from "./vault.ts";
import { warmUp } from "./warm-up.ts";

/** A watch that has brought nothing for this long, not even a bookmark, makes the process not ready. */
const SILENT_MS = 300_000;
/** The journal's reports save writes at start; without the journal the operator acts all the same. */
const REPORTS_WAIT_MS = 5_000;
/** Twice what the API server has been seen to take from this operator: an error that writes in a circle ends here. */
const REQUEST_BUDGET = { perSecond: 1_000, burst: 2_000 };
/** Kubernetes kills after 30 s. */
const STOP_LIMIT_MS = 20_000;

const config = loadConfig(process.env);
const log = pino({ level: config.logLevel });
const stopping = new AbortController();
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => stopping.abort(new Error(signal)));
}
const clock = () => performance.now();
process.exitCode = await run();

async function run(): Promise<number> {
  await warmUp(); // while there is nobody to serve
  const metrics = createMetrics();
  const access = await clusterAccess(config);
  const options = { onRequest: metrics.onRequest, userAgent: "tradingbots-operator" };
  const client = createKubeClient(access, {
    ...options,
    budget: REQUEST_BUDGET,
    onWait: metrics.onBudgetWait,
  });
  // Connections of its own: a renewal never waits behind the writes that it is to allow.
  const leaseClient = createKubeClient(access, options);
  const lost = new AbortController();
  let leadership: Leadership | undefined;
  const leads = () => leadership?.holds() ?? false;
  const operator = createOperator(config, {
    client,
    metrics,
    log,
    guard: { mayWrite: leads, lost: lost.signal, onForbidden: metrics.onForbidden },
    now: () => new Date(),
    clock,
    ...backends(),
  });
  const health = await startHealthServer({
    port: config.port,
    metrics,
    notReadyBecause: () => notReadyBecause(operator),
  });
  metrics.observe({
    queueDepth: operator.queueDepth,
    queueRunning: operator.queueRunning,
    queueFailing: operator.queueFailing,
    lastEventAt: operator.lastEventAt,
    isLeader: leads,
    isJournalHeard: operator.isJournalHeard,
    bots: operator.bots,
    startsWaiting: operator.startsWaiting,
    rollouts: operator.rollouts,
  });
  try {
    operator.follow();
    await Promise.race([operator.synced, aborted(stopping.signal)]);
    await untilHeard(operator.isJournalHeard); // before the election: a standby that takes over acts at once
    log.info("following the cluster");
    leadership = await becomeLeader(electionOf(leaseClient, metrics), stopping.signal);
    leadership.signal.addEventListener("abort", () => lost.abort(), { once: true });
    log.info("leading");
    operator.act();
    return await ended(leadership);
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
    return 0;
  } finally {
    // A process that hangs while stopping would keep nobody from leading, but its pod would linger.
    setTimeout(() => process.exit(1), STOP_LIMIT_MS).unref();
    await operator.stop();
    await leadership?.release();
    health.close();
    await Promise.all([client.close(), leaseClient.close()]);
    log.info("stopped");
  }
}

/** Vault and journal, each asked with its own projected token. */
function backends(): Pick<OperatorDeps, "vault" | "reports" | "leases"> {
  const { vault, journal } = config;
  const journalAccess = { url: journal.url, token: fileText(journal.tokenFile) };
  return {
    vault: createVaultMetadata({ address: vault.address, token: fileText(vault.tokenFile) }),
    leases: createBotLeases(journalAccess),
    reports: (handlers) =>
      createReports({
        ...journalAccess,
        clock,
        ...handlers,
        onHeard: (isHeard) => log.info({ isHeard }, "journal's reports"),
        onError: onceWhileSame((message) =>
          log.warn({ error: message }, "the journal cannot be heard"),
        ),
      }),
  };
}

function electionOf(client: KubeClient, metrics: Metrics): ElectionOptions {
  return {
    client,
    namespace: config.namespace,
    name: "tradingbots-operator",
    identity: `${config.podName}_${randomUUID()}`,
    onError: (error) => log.warn({ error: explain(error) }, "lease"),
    onSeen: metrics.onLease,
  };
}

/** Resolves with the exit code once leadership or the process is over. A former leader starts afresh as a standby. */
async function ended({ signal }: Leadership): Promise<number> {
  await aborted(AbortSignal.any([signal, stopping.signal])).catch(() => {});
  if (stopping.signal.aborted) return 0;
  log.error("the lease is lost");
  return 1;
}

/** Rejects with the signal's reason once it is aborted. */
async function aborted(signal: AbortSignal): Promise<never> {
  signal.throwIfAborted();
  await once(signal, "abort");
  throw signal.reason;
}

async function untilHeard(isHeard: () => boolean): Promise<void> {
  const deadline = performance.now() + REPORTS_WAIT_MS;
  while (!isHeard() && performance.now() < deadline && !stopping.signal.aborted) await sleep(50);
}

/** A journal that is down for hours is worth one line, not one for each attempt. */
function onceWhileSame(tell: (message: string) => void): (error: unknown) => void {
  let last: string | undefined;
  return (error) => {
    const message = explain(error);
    if (message !== last) tell(message);
    last = message;
  };
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
