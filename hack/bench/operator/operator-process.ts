import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import type { PodSettings } from "../../../operator/src/config.ts";
import { freePorts } from "../../control-plane/free-ports.ts";
import { imageEnvironment, nodeFlags } from "../../images/bot-node-flags.ts";
import { bundle } from "../../images/bundle.ts";
import { cpuSeconds, residentBytes } from "./process-costs.ts";

const LEADS_WITHIN_MS = 600_000;
const VAULT = "http://127.0.0.1:1"; // no account is new, so nobody asks

/** What the pods are made with, but the journal's address. */
export const podSettings: Omit<PodSettings, "journalUrl"> = {
  vaultAddress: VAULT,
  vaultImage: "registry.example/tradingbots/vault:1.0.0",
  imagePullPolicy: "IfNotPresent",
};

/** The operator as its image holds it. */
export interface OperatorBundle {
  /** Flags and file for `node`. */
  readonly program: readonly string[];
  readonly directory: string;
  readonly remove: () => Promise<void>;
}

export async function bundleOperator(): Promise<OperatorBundle> {
  const directory = await mkdtemp(join(tmpdir(), "bench-operator-"));
  await bundle({ entries: { operator: "operator/src/main.ts" }, small: true }, directory);
  await writeFile(join(directory, "token"), "the fake journal asks nobody who he is");
  return {
    program: [...nodeFlags("operator"), join(directory, "operator.mjs")],
    directory,
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

export interface OperatorOptions {
  readonly bundled: OperatorBundle;
  readonly kubeconfigPath: string;
  readonly buckets: number;
  readonly journalUrl: string;
  readonly name?: string;
  /** Where blocks of the event loop are written down, `loop-watch-program.ts` says how. */
  readonly blocksFile?: string;
}

/** Starts the process and comes back at once. */
export async function startOperator(options: OperatorOptions) {
  const { bundled, name = "operator-0", blocksFile } = options;
  const [port = 0] = await freePorts(1);
  const startedMs = performance.now();
  const child = spawn(process.execPath, [...watchFlags(blocksFile), ...bundled.program], {
    cwd: bundled.directory,
    env: environment(options, { name, port }),
    stdio: ["ignore", "pipe", "inherit"],
  });
  const log: string[] = [];
  child.stdout.setEncoding("utf8").on("data", (line: string) => log.push(line));
  const pid = child.pid ?? 0;
  const metrics = async () => parseMetrics(await text(port, "/metrics"));

  const mustLive = () => {
    if (child.exitCode !== null) throw new Error(`the operator ended:\n${log.join("")}`);
  };
  const isReady = async () => (await text(port, "/readyz").catch(() => "no answer")) === "ok";

  async function until(what: string, holds: (metrics: Metrics) => boolean): Promise<void> {
    const deadline = performance.now() + LEADS_WITHIN_MS;
    for (;;) {
      mustLive();
      const now = await metrics().catch(() => undefined);
      if (now !== undefined && holds(now)) return;
      if (performance.now() > deadline) throw new Error(`not ${what} in time:\n${log.join("")}`);
      await sleep(50);
    }
  }

  return {
    pid,
    startedMs,
    log: () => log.join(""),
    metrics,
    /** It has read the cluster. Asking this costs it nothing, unlike its metrics. */
    untilReady: async () => {
      const deadline = performance.now() + LEADS_WITHIN_MS;
      while (!(await isReady())) {
        mustLive();
        if (performance.now() > deadline) throw new Error(`not ready in time:\n${log.join("")}`);
        await sleep(50);
      }
    },
    untilLeading: () => until("leading", (now) => sum(now, "tradingbots_operator_is_leader") === 1),
    until,
    residentBytes: () => residentBytes(pid),
    cpuSeconds: () => cpuSeconds(pid),
    stop: () => end(child, "SIGTERM"),
    kill: () => end(child, "SIGKILL"),
  };
}
export type OperatorProcess = Awaited<ReturnType<typeof startOperator>>;

function watchFlags(blocksFile: string | undefined): readonly string[] {
  if (blocksFile === undefined) return [];
  const program = pathToFileURL(join(import.meta.dirname, "loop-watch-program.ts"));
  program.searchParams.set("to", blocksFile);
  return ["--import", program.href];
}

function environment(
  { bundled, kubeconfigPath, buckets, journalUrl }: OperatorOptions,
  { name, port }: { readonly name: string; readonly port: number },
): NodeJS.ProcessEnv {
  const token = join(bundled.directory, "token");
  return {
    ...imageEnvironment("operator"),
    KUBECONFIG: kubeconfigPath,
    POD_NAMESPACE: "default",
    POD_NAME: name,
    PORT: String(port),
    BUCKETS: String(buckets),
    VAULT_ADDR: podSettings.vaultAddress,
    VAULT_TOKEN_FILE: token,
    VAULT_AGENT_IMAGE: podSettings.vaultImage,
    JOURNAL_URL: journalUrl,
    JOURNAL_TOKEN_FILE: token,
    VAULT_LOGINS_PER_SECOND: "10000", // the cap on starts is not what is measured
  };
}

async function end(child: ChildProcess, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill(signal);
  await once(child, "exit");
}

async function text(port: number, path: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return response.text();
}

/** `name{labels}` → value. */
export type Metrics = ReadonlyMap<string, number>;

function parseMetrics(exposition: string): Metrics {
  const samples = exposition.split("\n").flatMap((line) => {
    const match = /^([a-z_]+(?:\{[^}]*\})?) ([^ ]+)$/.exec(line);
    return match?.[1] === undefined ? [] : [[match[1], Number(match[2])] as const];
  });
  return new Map(samples);
}

/** The sum over all samples of a metric whose labels match. */
export function sum(metrics: Metrics, name: string, labels = /(?:)/): number {
  let total = 0;
  for (const [key, value] of metrics) {
    const isIt = key === name || key.startsWith(`${name}{`);
    if (isIt && labels.test(key)) total += value;
  }
  return total;
}

/** Every write to the API server so far, leases left out. */
export function writesOf(metrics: Metrics): number {
  return sum(metrics, "tradingbots_operator_writes_total");
}

/** Every GET but of the lease: a watch that begins again counts too. */
export function readsOf(metrics: Metrics): number {
  const all = sum(metrics, "tradingbots_operator_requests_total", /method="GET"/);
  return (
    all - sum(metrics, "tradingbots_operator_requests_total", /method="GET",resource="leases"/)
  );
}
