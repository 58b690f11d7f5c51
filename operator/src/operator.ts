import {
  createWorkQueue,
  inTurns,
  type KubeClient,
  parseKey,
  type QueueOptions,
  type ReflectorTiming,
  retryAfterMs,
  type WorkQueue,
  type WriteGuard,
} from "@tradingbots/kube";
import type { Logger } from "pino";
import { type KeyWait, reconcileAccount } from "./account/reconcile.ts";
import type { Refusal } from "./bot/facts.ts";
import { reconcileBot } from "./bot/reconcile.ts";
import type { Restarts } from "./bot/restart.ts";
import type { Tally } from "./class/plan-wave.ts";
import { reconcileClass } from "./class/reconcile.ts";
import { type ClusterView, type ClusterViewOptions, createClusterView } from "./cluster-view.ts";
import { createClusterWrites } from "./cluster-writes.ts";
import type { PodSettings } from "./config.ts";
import { createEvents } from "./events.ts";
import { reconcileHalt } from "./halt/reconcile.ts";
import type { BotLeases } from "./leases.ts";
import type { Metrics } from "./metrics.ts";
import { type BotReport, type Clock, type Reports, isStale } from "./reports.ts";
import { createRoutes, routeReport } from "./routing.ts";
import { createStartLine, type StartLine } from "./start-line.ts";
import { guardedVault, type VaultMetadata } from "./vault.ts";

export interface OperatorDeps {
  readonly client: KubeClient;
  readonly vault: VaultMetadata;
  /** Made with the handlers of this operator, so that reports find their way to its queues. */
  readonly reports: (handlers: ReportHandlers) => ReportSource;
  readonly leases: BotLeases;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** Leadership: without it nothing is written. */
  readonly guard: WriteGuard;
  readonly now: () => Date;
  readonly clock: Clock;
}

export interface ReportHandlers {
  /** Whether such a bot may be there: the journal remembers all that ever were. */
  isKnown(botKey: string): boolean;
  onReport(botKey: string, latest: BotReport, previous: BotReport | undefined): void;
}

/** The journal's stream, or what stands for it. */
export interface ReportSource extends Reports {
  readonly start: () => void;
  readonly stop: () => Promise<void>;
  readonly forget: (botKey: string) => void;
  readonly entries: () => Iterable<[string, Pick<BotReport, "saidAtMs">]>;
}

export interface OperatorSettings {
  readonly namespaces: readonly string[];
  readonly podName: string;
  readonly verifyClass: string;
  /** Classes whose pods the cluster admits; undefined: all. */
  readonly classes?: readonly string[] | undefined;
  readonly pods: PodSettings;
  /** Pods with a key that may start in a second: each logs in at Vault. */
  readonly vaultLoginsPerSecond: number;
  /** Where watches are to be judged by other times than the reflector's own. */
  readonly watch?: Partial<ReflectorTiming>;
}

/** One connection each to the API server is about 8 ms busy: more workers than connections only wait. */
const BOT_WORKERS = 32;
const ACCOUNT_WORKERS = 8;
const HALT_WORKERS = 2;
const CLASS_WORKERS = 2;
const BACK_OFF = { initialMs: 100, maxMs: 300_000 };
const SWEEP_MS = 10_000;

/** Everything between the stores and the writes: knows nothing of environment, leases or ports. */
export function createOperator(settings: OperatorSettings, deps: OperatorDeps) {
  const { log, now, clock, vault } = deps;
  const guarded = deps.client.guarded(deps.guard);
  const reports = deps.reports({
    isKnown: (key) => !cluster.hasSynced() || cluster.bots.store.has(key),
    onReport: (key, latest, previous) =>
      routeReport({ queues, cluster: () => cluster }, key, { latest, previous }),
  });
  // By whatever way a key comes (a twin, a report): what lies in other namespaces is never touched.
  const managed =
    (pass: Pass): Pass =>
    async (key) =>
      cluster.manages(parseKey(key).namespace ?? "") ? pass(key) : {};
  const queues = createQueues(deps, () => cluster, {
    bots: managed((key) => reconcileBot(key, botDeps)),
    accounts: managed((key) => reconcileAccount(key, accountDeps)),
    halts: (name) => reconcileHalt(name, botDeps),
    classes: (name) => reconcileClass(name, { ...botDeps, tallies }),
  });
  const cluster = createClusterView({
    client: deps.client,
    namespaces: settings.namespaces,
    timing: settings.watch,
    routes: createRoutes({
      queues,
      cluster: () => cluster,
      verifyClass: settings.verifyClass,
      forgetReport: reports.forget,
    }),
    ...watchHooks(deps),
  });
  const starts = createStartLine({ perSecond: settings.vaultLoginsPerSecond, clock });
  const common = {
    cluster,
    writes: createClusterWrites(guarded, cluster),
    starts,
    now,
    podSettings: settings.pods,
    events: eventsOf(settings, deps),
  };
  const { classes, verifyClass } = settings;
  const botDeps = {
    ...common,
    release: classes && { classes: new Set(classes), standIn: verifyClass },
    reports,
    clock,
    leases: deps.leases,
    refusals: new Map<string, Refusal>(),
    restarts: new Map<string, Restarts>(),
    wake: (key: string) => queues.bots.add(key, "user"),
  };
  const tallies = new Map<string, Tally>();
  const accountDeps = {
    ...common,
    vault: guardedVault(vault, deps.guard),
    verifyClass: settings.verifyClass,
    keyWaits: new Map<string, KeyWait>(),
    wake: (key: string) => queues.accounts.add(key, "user"),
    onError: (error: unknown) => log.warn({ error: explain(error) }, "Vault does not answer"),
  };
  const sweep = sweepStaleReports({ reports, clock }, (key) => queues.bots.add(key, "resync"));

  return {
    ...lifecycle({ queues, cluster, reports, sweep, starts }),
    startsWaiting: starts.size,
    /** Last count of each class whose rollout is under way. */
    rollouts: (): ReadonlyMap<string, Tally> => tallies,
  };
}

function eventsOf({ podName }: OperatorSettings, { client, guard, log, now }: OperatorDeps) {
  return createEvents({
    client: client.guarded(guard),
    instance: podName,
    onError: (error) => log.warn({ error: explain(error) }, "an Event was not written"),
    now,
  });
}

/** What is told of the watches. */
function watchHooks({
  metrics,
  log,
}: OperatorDeps): Pick<ClusterViewOptions, "onFilled" | "onRestart" | "onInvalid"> {
  return {
    onFilled: metrics.onFilled,
    onRestart: (kind, reason, error) => {
      metrics.onWatchRestart(kind, reason);
      if (reason !== "closed") log.info({ kind, reason, error: explain(error) }, "watch restarts");
    },
    onInvalid: (kind, key, error) => {
      metrics.onInvalid(kind);
      log.error({ kind, key, error: explain(error) }, "an object is passed over");
    },
  };
}

type Pass = QueueOptions["process"];

/** One queue a kind. A user's many bots do not hold up another's. */
function createQueues(
  deps: OperatorDeps,
  cluster: () => ClusterView,
  passes: Readonly<Record<"bots" | "accounts" | "halts" | "classes", Pass>>,
) {
  const queue = queueMaker(deps);
  return {
    bots: queue("bots", {
      concurrency: BOT_WORKERS,
      process: passes.bots,
      groupOf: (key) => cluster().bots.store.get(key)?.spec.userId ?? "",
    }),
    accounts: queue("accounts", {
      concurrency: ACCOUNT_WORKERS,
      process: passes.accounts,
      groupOf: (key) => cluster().accounts.store.get(key)?.spec.userId ?? "",
    }),
    halts: queue("halts", { concurrency: HALT_WORKERS, process: passes.halts }),
    classes: queue("classes", { concurrency: CLASS_WORKERS, process: passes.classes }),
  };
}

/** What all queues have in common. */
function queueMaker({ metrics, log }: OperatorDeps) {
  return (name: string, options: Pick<QueueOptions, "concurrency" | "process" | "groupOf">) =>
    createWorkQueue({
      ...options,
      backOff: BACK_OFF,
      retryAfterMs,
      hooks: metrics.queueHooks(name),
      onError: (key, error, failures) =>
        log.warn({ queue: name, key, failures, error: explain(error) }, "reconciliation failed"),
    });
}

function ofEach(queues: Parts["queues"], count: (queue: WorkQueue) => number) {
  return Object.fromEntries(Object.entries(queues).map(([name, queue]) => [name, count(queue)]));
}

interface Parts {
  readonly queues: Readonly<Record<string, ReturnType<typeof createWorkQueue>>>;
  readonly cluster: ReturnType<typeof createClusterView>;
  readonly reports: ReportSource;
  readonly sweep: { start(): void; stop(): void };
  readonly starts: Pick<StartLine, "stop">;
}

function lifecycle({ queues, cluster, reports, sweep, starts }: Parts) {
  const all = Object.values(queues);
  return {
    /** Begins to follow the cluster and the journal; decides nothing. */
    follow: () => {
      cluster.start();
      reports.start();
      void cluster.synced.then(() => forgetUnknown(reports, cluster));
    },
    /** What is known of the cluster, for those who look on. */
    cluster,
    synced: cluster.synced,
    /** Begins to act on all that has been seen. */
    act: () => {
      for (const each of all) each.start();
      sweep.start();
    },
    /** Ends what runs, then the watches. */
    stop: async () => {
      sweep.stop();
      starts.stop();
      await Promise.all(all.map((each) => each.stop()));
      await Promise.all([cluster.stop(), reports.stop()]);
    },
    hasSynced: cluster.hasSynced,
    lastEventAt: cluster.lastEventAt,
    isJournalHeard: reports.isHeard,
    bots: () => cluster.bots.store.views(),
    queueDepth: () => ofEach(queues, (queue) => queue.depth()),
    queueRunning: () => ofEach(queues, (queue) => queue.running()),
    queueFailing: () => ofEach(queues, (queue) => queue.failing()),
    isIdle: () => all.every((each) => each.isIdle()),
  };
}

/** Reports that came before the bots did may be of bots that have been gone for long. */
async function forgetUnknown(
  { entries, forget }: Pick<ReportSource, "entries" | "forget">,
  { bots }: Pick<ClusterView, "bots">,
): Promise<void> {
  await inTurns(entries(), ([key]) => {
    if (!bots.store.has(key)) forget(key);
  });
}

/** Looks for bots that have fallen silent or speak again; each is woken once. */
function sweepStaleReports(
  { reports, clock }: { readonly reports: ReportSource; readonly clock: Clock },
  wake: (key: string) => void,
) {
  let silent: ReadonlySet<string> = new Set();
  let timer: NodeJS.Timeout | undefined;

  async function sweep(): Promise<void> {
    if (!reports.isHeard()) return;
    const before = silent;
    const now = new Set<string>();
    await inTurns(reports.entries(), ([key, report]) => {
      if (isStale(report, clock())) now.add(key);
    });
    silent = now;
    await inTurns(now.symmetricDifference(before), wake);
  }

  return {
    start: () => void (timer ??= setInterval(() => void sweep(), SWEEP_MS)),
    stop: () => clearInterval(timer),
  };
}

/** The chain of causes in one line. */
export function explain(error: unknown): string {
  const messages: string[] = [];
  for (let cause = error; cause instanceof Error && messages.length < 5; cause = cause.cause) {
    messages.push(cause.message);
  }
  return messages.length === 0 ? "an error without a message" : messages.join(": ");
}
