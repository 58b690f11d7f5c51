import type { QueueHooks, RequestReport, RestartReason } from "@tradingbots/kube";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { BotView } from "./bot/bot-view.ts";
import { addBotGauges } from "./bot-gauges.ts";
import type { Tally } from "./class/plan-wave.ts";

/** Up to so much more than a block of the event loop is seen; finer would wake an idle process more than two hundred times a second. */
const LOOP_RESOLUTION_MS = 5;

export interface MetricSources {
  readonly queueDepth: () => Readonly<Record<string, number>>;
  readonly queueRunning: () => Readonly<Record<string, number>>;
  readonly queueFailing: () => Readonly<Record<string, number>>;
  /** Milliseconds since the epoch of the oldest of the watches' last signs of life. */
  readonly lastEventAt: () => number;
  readonly isLeader: () => boolean;
  readonly isJournalHeard: () => boolean;
  readonly bots: () => Iterable<BotView>;
  readonly startsWaiting: () => number;
  readonly rollouts: () => ReadonlyMap<string, Tally>;
}

/** What the operator tells Prometheus. No label carries a user's, bot's or account's name. */
export function createMetrics() {
  const registry = new Registry();
  return {
    ...apiServerMetrics(registry),
    ...queueMetrics(registry),
    ...leaseMetrics(registry),
    /** Gauges that are read when somebody asks; blocks of the event loop count from here on. */
    observe: (sources: MetricSources) => {
      addProcessGauges(registry);
      addGauges(registry, sources);
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}
export type Metrics = ReturnType<typeof createMetrics>;

function apiServerMetrics(registry: Registry) {
  const registers = [registry];
  const requests = new Counter({
    name: "tradingbots_operator_requests_total",
    help: "Requests to the API server, by method, resource and status (0: no answer).",
    labelNames: ["method", "resource", "status"],
    registers,
  });
  const writes = new Counter({
    name: "tradingbots_operator_writes_total",
    help: "Writes to the API server, leases not counted. At rest it stands still.",
    labelNames: ["method", "resource"],
    registers,
  });
  const forbidden = new Counter({
    name: "tradingbots_operator_forbidden_writes_total",
    help: "Writes that were kept back because this process did not lead, or not any more.",
    registers,
  });
  const waits = new Histogram({
    name: "tradingbots_operator_budget_wait_seconds",
    help: "Time that a request waited because the budget of requests was used up; those that did not wait are not counted.",
    buckets: [0.01, 0.05, 0.25, 1, 5, 30],
    registers,
  });
  const durations = new Histogram({
    name: "tradingbots_operator_request_seconds",
    help: "Time until the API server's answer began, by method and resource; of a watch, until it was open.",
    labelNames: ["method", "resource"],
    buckets: [0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 2, 10, 30],
    registers,
  });
  const fills = new Histogram({
    name: "tradingbots_operator_list_seconds",
    help: "Time in which the present state of a resource was read, at the start and whenever its version had expired.",
    labelNames: ["resource"],
    buckets: [0.01, 0.05, 0.25, 1, 2.5, 5, 10, 30],
    registers,
  });
  const restarts = new Counter({
    name: "tradingbots_operator_watch_restarts_total",
    help: "Watches that began again, by resource and reason.",
    labelNames: ["resource", "reason"],
    registers,
  });
  const invalid = new Counter({
    name: "tradingbots_operator_invalid_objects_total",
    help: "Objects that do not have the shape of their kind and are passed over.",
    labelNames: ["resource"],
    registers,
  });
  return {
    onRequest: ({ method, path, status, durationMs }: RequestReport) => {
      const resource = resourceOf(path);
      durations.observe({ method, resource }, durationMs / 1_000);
      requests.inc({ method, resource, status });
      if (method !== "GET" && resource !== "leases") writes.inc({ method, resource });
    },
    onForbidden: () => forbidden.inc(),
    onBudgetWait: (waitedMs: number) => waits.observe(waitedMs / 1_000),
    onFilled: (resource: string, durationMs: number) =>
      fills.observe({ resource }, durationMs / 1_000),
    onWatchRestart: (resource: string, reason: RestartReason) => restarts.inc({ resource, reason }),
    onInvalid: (resource: string) => invalid.inc({ resource }),
  };
}

function leaseMetrics(registry: Registry) {
  const registers = [registry];
  const holderGauge = new Gauge({
    name: "tradingbots_operator_lease_holder",
    help: "1 for the process that holds the lease, as this one sees it.",
    labelNames: ["holder"],
    registers,
  });
  const transitionsGauge = new Gauge({
    name: "tradingbots_operator_lease_transitions",
    help: "How often the lease has changed hands.",
    registers,
  });
  return {
    onLease: ({ holder, transitions }: { holder: string; transitions: number }) => {
      holderGauge.reset();
      if (holder !== "") holderGauge.set({ holder }, 1);
      transitionsGauge.set(transitions);
    },
  };
}

function queueMetrics(registry: Registry) {
  const registers = [registry];
  const waited = new Histogram({
    name: "tradingbots_operator_queue_seconds",
    help: "Time that a key waited in a queue before its reconciliation began.",
    labelNames: ["queue", "priority"],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60],
    registers,
  });
  const durations = new Histogram({
    name: "tradingbots_operator_reconcile_seconds",
    help: "Duration of one reconciliation.",
    labelNames: ["queue"],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
    registers,
  });
  const errors = new Counter({
    name: "tradingbots_operator_reconcile_errors_total",
    help: "Reconciliations that failed and are tried again.",
    labelNames: ["queue"],
    registers,
  });
  return {
    queueHooks: (queue: string): QueueHooks => ({
      onStart: (priority, waitedMs) => waited.observe({ queue, priority }, waitedMs / 1_000),
      onDone: (durationMs, failed) => {
        durations.observe({ queue }, durationMs / 1_000);
        if (failed) errors.inc({ queue });
      },
    }),
  };
}

function addGauges(registry: Registry, sources: MetricSources): void {
  const registers = [registry];
  addBotGauges(registry, sources.bots);
  addQueueGauges(registry, sources);
  const silence: Gauge = new Gauge({
    name: "tradingbots_operator_watch_silence_seconds",
    help: "Time since the last line of the watch that has been silent longest. The API server sends one a minute at least.",
    registers,
    collect: () => silence.set(Math.max(0, Date.now() - sources.lastEventAt()) / 1_000),
  });
  const leader: Gauge = new Gauge({
    name: "tradingbots_operator_is_leader",
    help: "1 while this process is the one that writes.",
    registers,
    collect: () => leader.set(sources.isLeader() ? 1 : 0),
  });
  const journal: Gauge = new Gauge({
    name: "tradingbots_operator_journal_heard",
    help: "1 while the journal's stream of reports is up.",
    registers,
    collect: () => journal.set(sources.isJournalHeard() ? 1 : 0),
  });
  const starts: Gauge = new Gauge({
    name: "tradingbots_operator_starts_waiting",
    help: "Pods that wait for their turn to log in at Vault.",
    registers,
    collect: () => starts.set(sources.startsWaiting()),
  });
  const rollout: Gauge = new Gauge({
    name: "tradingbots_operator_rollout_bots",
    help: "Bots of a class whose rollout is under way, by where they stand.",
    labelNames: ["class", "phase"],
    registers,
    collect: () => {
      rollout.reset();
      for (const [name, { waiting, trouble: _, ...counts }] of sources.rollouts()) {
        for (const [phase, count] of Object.entries({ ...counts, waiting: waiting.length })) {
          rollout.set({ class: name, phase }, count);
        }
      }
    },
  });
}

/** Of each queue, one gauge a line. */
function addQueueGauges(registry: Registry, sources: MetricSources): void {
  const gauges = [
    ["depth", "Keys that wait for a free worker.", sources.queueDepth],
    ["running", "Reconciliations under way.", sources.queueRunning],
    ["failing", "Keys whose last reconciliation failed: in back-off.", sources.queueFailing],
  ] as const;
  for (const [name, help, sizes] of gauges) {
    const gauge: Gauge = new Gauge({
      name: `tradingbots_operator_queue_${name}`,
      help,
      labelNames: ["queue"],
      registers: [registry],
      collect: () => {
        for (const [queue, size] of Object.entries(sizes())) gauge.set({ queue }, size);
      },
    });
  }
}

/** What the process itself costs, and whether something keeps it from answering. */
function addProcessGauges(registry: Registry): void {
  const registers = [registry];
  const delay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  delay.enable();
  const longest: Gauge = new Gauge({
    name: "tradingbots_operator_event_loop_delay_max_seconds",
    help: "Longest time, since the process began to serve, in which the event loop served nobody; 0.005 is none.",
    registers,
    collect: () => longest.set(delay.max / 1e9),
  });
  const load = new Gauge({
    name: "tradingbots_operator_load_seconds",
    help: "From the start of the process until it began to serve: modules and schemas, whose blocks the delay above does not count.",
    registers,
  });
  load.set(performance.now() / 1_000);
  const memory: Gauge = new Gauge({
    name: "process_resident_memory_bytes",
    help: "Resident memory of the process.",
    registers,
    collect: () => memory.set(process.memoryUsage.rss()),
  });
  const heap: Gauge = new Gauge({
    name: "tradingbots_operator_heap_used_bytes",
    help: "Memory that objects take, those that nobody holds any more included.",
    registers,
    collect: () => heap.set(process.memoryUsage().heapUsed),
  });
}

/** `pods`, `tradingbots/status`: without names, which would be a label for each object. */
function resourceOf(path: string): string {
  const parts = path.split("/").filter((part) => part !== "");
  const afterVersion = parts.slice(parts[0] === "apis" ? 3 : 2);
  const [plural = "other", , subresource] =
    afterVersion[0] === "namespaces" && afterVersion.length > 2
      ? afterVersion.slice(2)
      : afterVersion;
  return subresource === undefined ? plural : `${plural}/${subresource}`;
}
