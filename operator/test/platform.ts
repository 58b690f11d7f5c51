import { setTimeout as sleep } from "node:timers/promises";
import {
  BotClass,
  Condition,
  customResourceDefinition,
  ExchangeAccount,
  Report,
  TradingBot,
  TradingHalt,
  type VerificationResult,
} from "@tradingbots/crds";
import {
  createKubeClient,
  isNotFound,
  keyOf,
  type KubeClient,
  kubeconfigAccess,
  NAMESPACES,
  type Pod,
  PODS,
  type RequestReport,
  type Resource,
} from "@tradingbots/kube";
import { pino } from "pino";
import { z } from "zod";
import { startControlPlane } from "../../hack/control-plane/control-plane.ts";
import { createMetrics } from "../src/metrics.ts";
import { createOperator, type ReportHandlers, type ReportSource } from "../src/operator.ts";
import type { BotReport } from "../src/reports.ts";
import { BOT_CLASSES, EXCHANGE_ACCOUNTS, TRADING_BOTS, TRADING_HALTS } from "../src/resources.ts";
import { QUIET_REPORT } from "./fake-journal.ts";
import { createFakeVault } from "./fake-vault.ts";

export const NAMESPACE = "tradingbots-00";
export const USER = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff";
export const OTHER_USER = "00000000-0000-4000-8000-000000000001";

/** Longer than what the operator puts together into one write, but for changes that trading itself makes. */
const SETTLE_LOOK_MS = 400;
const SETTLE_LIMIT_MS = 20_000;

/** A real API server with the CRDs, a class and a bucket namespace that enforces restricted pod security. */
export async function startPlatform() {
  const controlPlane = await startControlPlane();
  const client = createKubeClient(await kubeconfigAccess(controlPlane.kubeconfigPath));
  for (const kind of [TradingBot, ExchangeAccount, BotClass, TradingHalt]) {
    const manifest = customResourceDefinition(kind);
    await client.create(CRDS, { ...manifest, metadata: { name: `${kind.plural}.${kind.group}` } });
  }
  await client.create(NAMESPACES, {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: {
      name: NAMESPACE,
      labels: { "pod-security.kubernetes.io/enforce": "restricted" },
    },
  });
  for (const resource of [TRADING_BOTS, EXCHANGE_ACCOUNTS, BOT_CLASSES, TRADING_HALTS]) {
    await untilServed(client, resource);
  }
  await client.create(BOT_CLASSES, botClass("free", "bot:1"));
  return {
    client,
    kubeconfigPath: controlPlane.kubeconfigPath,
    ...cast(client),
    stop: async () => {
      await client.close();
      await controlPlane.stop();
    },
  };
}
export type Platform = Awaited<ReturnType<typeof startPlatform>>;

/** The API server serves a new kind a moment after its CRD is stored. */
async function untilServed(client: KubeClient, resource: Resource<unknown>): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await client.list(resource);
      return;
    } catch (error) {
      if (attempt > 300) throw error;
      await sleep(100);
    }
  }
}

const CRDS: Resource<unknown> = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  plural: "customresourcedefinitions",
  scope: "Cluster",
  read: (value) => value,
};

export function botClass(name: string, image: string, spec: Record<string, unknown> = {}) {
  return {
    apiVersion: "tradingbots.dev/v1alpha1",
    kind: "BotClass",
    metadata: { name },
    spec: { image, ...spec },
  };
}

/** The parts that people, the API and the kubelet play. */
function cast(client: KubeClient) {
  let serial = 0;
  const nextName = (prefix: string) => `${prefix}-${String(++serial).padStart(20, "0")}`;

  async function createBot(
    spec: Record<string, unknown> = {},
    name = nextName("bot"),
  ): Promise<string> {
    await client.create(TRADING_BOTS, {
      apiVersion: "tradingbots.dev/v1alpha1",
      kind: "TradingBot",
      metadata: { namespace: NAMESPACE, name, finalizers: ["tradingbots.dev/flat"] },
      spec: {
        userId: USER,
        exchange: "bybit",
        displayName: name,
        mode: spec["accountName"] === undefined ? "paper" : "live",
        symbols: ["BTC/USDT:USDT"],
        strategy: { name: "rsi" },
        state: "Running",
        ...spec,
      },
    });
    return name;
  }

  async function createAccount(spec: Record<string, unknown> = {}): Promise<string> {
    const name = nextName("acct");
    await client.create(EXCHANGE_ACCOUNTS, {
      apiVersion: "tradingbots.dev/v1alpha1",
      kind: "ExchangeAccount",
      metadata: { namespace: NAMESPACE, name },
      spec: { userId: USER, exchange: "bybit", name, ...spec },
    });
    return name;
  }

  async function createHalt(
    spec: Record<string, unknown>,
    name = nextName("halt"),
  ): Promise<string> {
    await client.create(TRADING_HALTS, {
      apiVersion: "tradingbots.dev/v1alpha1",
      kind: "TradingHalt",
      metadata: { name },
      spec: { action: "BlockEntries", reason: "a test", ...spec },
    });
    return name;
  }

  async function patch(resource: Resource<unknown>, name: string, spec: object): Promise<void> {
    const namespace = resource.scope === "Cluster" ? undefined : NAMESPACE;
    await client.patch(resource, { namespace, name }, { type: "merge", body: { spec } });
  }

  return { createBot, createAccount, createHalt, patch, ...observer(client), ...kubelet(client) };
}

const NONE = { conditions: [] };
const WithConditions = z
  .object({ status: z.object({ conditions: z.array(Condition).default([]) }).default(NONE) })
  .default({ status: NONE });

function observer(client: KubeClient) {
  async function conditions(resource: Resource<unknown>, name: string) {
    const key = resource.scope === "Cluster" ? { name } : at(name);
    const list = WithConditions.parse(await client.get(resource, key)).status.conditions;
    return Object.fromEntries(
      list.map(({ type, status, reason }) => [type, `${status} ${reason}`]),
    );
  }
  return {
    bot: (name: string) => client.get(TRADING_BOTS, at(name)),
    account: (name: string) => client.get(EXCHANGE_ACCOUNTS, at(name)),
    halt: (name: string) => client.get(TRADING_HALTS, { name }),
    pod: (name: string) => client.get(PODS, at(name)),
    conditionsOf: async (name: string) =>
      conditions(
        name.startsWith("bot")
          ? TRADING_BOTS
          : name.startsWith("halt")
            ? TRADING_HALTS
            : EXCHANGE_ACCOUNTS,
        name,
      ),
    ready: async (name: string) => {
      const resource = name.startsWith("bot") ? TRADING_BOTS : EXCHANGE_ACCOUNTS;
      return (await conditions(resource, name))["Ready"];
    },
    config: async (name: string): Promise<unknown> => {
      const pod = await client.get(PODS, at(name));
      const text = pod?.metadata?.annotations?.["tradingbots.dev/config"];
      return text === undefined ? undefined : JSON.parse(text);
    },
  };
}

const at = (name: string) => ({ namespace: NAMESPACE, name });

const STARTED = { startedAt: "2026-01-01T00:00:00Z" };
const container = (name: string, state: object, ready = false) => ({
  name,
  image: "bot:1",
  imageID: "",
  ready,
  restartCount: 0,
  state,
});
/** No kubelet runs: the test plays it. */
function kubelet(client: KubeClient) {
  const setStatus = async (name: string, status: object): Promise<Pod> =>
    client.patch(PODS, at(name), { type: "merge", body: { status }, subresource: "status" });

  return {
    setStatus,
    /** Gives the pod to a node: from now on a deletion waits for `kill`. */
    bind: (name: string) =>
      client.create(BINDINGS(name), {
        apiVersion: "v1",
        kind: "Binding",
        metadata: at(name),
        target: { apiVersion: "v1", kind: "Node", name: "node-1" },
      }),
    becomeReady: (name: string) =>
      setStatus(name, {
        phase: "Running",
        conditions: [{ type: "Ready", status: "True" }],
        containerStatuses: [container("bot", { running: STARTED }, true)],
      }),
    end: (name: string, phase: "Succeeded" | "Failed", message: object | undefined) =>
      setStatus(name, {
        phase,
        conditions: [{ type: "Ready", status: "False" }],
        containerStatuses: [
          container(name.startsWith("verify") ? "verify" : "bot", {
            terminated: {
              exitCode: phase === "Succeeded" ? 0 : 1,
              finishedAt: new Date().toISOString().replace(/\.\d+Z/, "Z"),
              ...(message === undefined ? {} : { message: JSON.stringify(message) }),
            },
          }),
        ],
      }),
    kill: async (name: string) => {
      try {
        await client.remove(PODS, at(name), { gracePeriodSeconds: 0 });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    },
  };
}

const BINDINGS = (pod: string): Resource<unknown> => ({
  apiVersion: "v1",
  kind: "Binding",
  plural: `pods/${pod}/binding`,
  scope: "Namespaced",
  read: (value) => value,
});

/** Runs the operator as `main.ts` does, without lease and port, against fakes of Vault and journal. */
export async function startOperator(
  platform: Platform,
  {
    isJournalHeard = true,
    vaultLoginsPerSecond = 1_000,
    aheadMs = 0,
    classes,
    heardOf = [],
  }: {
    readonly isJournalHeard?: boolean;
    readonly vaultLoginsPerSecond?: number;
    readonly aheadMs?: number;
    /** Classes of the release; all of them, unless a test says which. */
    readonly classes?: readonly string[];
    /** Bots of which the journal tells before the cluster is known. */
    readonly heardOf?: readonly string[];
  } = {},
) {
  const writes: string[] = [];
  const reads: string[] = [];
  const client = createKubeClient(await kubeconfigAccess(platform.kubeconfigPath), {
    onRequest: ({ method, path }: RequestReport) => {
      const short = path
        .replace(/^.*\/namespaces\/[^/]+\//, "")
        .replace(/^\/apis\/[^/]+\/[^/]+\//, "");
      (method === "GET" ? reads : writes).push(`${method} ${short}`);
    },
  });
  const vault = createFakeVault();
  const reports = createFakeReports(isJournalHeard);
  for (const name of heardOf) reports.report(name, "uid-of-pod", {});
  const leases = new Map<string, number>();
  let leaseFailures = 0;
  let skippedMs = aheadMs;
  const operator = createOperator(
    {
      namespaces: [NAMESPACE],
      podName: "operator-0",
      verifyClass: "free",
      classes,
      vaultLoginsPerSecond,
      pods: {
        vaultAddress: "http://vault:8200",
        vaultImage: "vault:1",
        journalUrl: "http://journal:8081",
        imagePullPolicy: "IfNotPresent",
      },
    },
    {
      client,
      vault,
      reports: reports.source,
      leases: {
        leftMs: async ({ name }) => {
          const left = leases.get(name) ?? 0;
          if (!Number.isNaN(left)) return left;
          leaseFailures++;
          throw new Error("the journal does not answer");
        },
      },
      metrics: createMetrics(),
      log: pino({ level: process.env["LOG_LEVEL"] ?? "silent" }), // oxlint-disable-line node/no-process-env
      guard: { mayWrite: () => true },
      now: () => new Date(Date.now() + skippedMs),
      clock: () => performance.now(),
    },
  );
  operator.follow();
  await operator.synced;
  operator.act();
  return {
    operator,
    vault,
    /** Milliseconds until a bot's lease ends, by name; NaN for a journal that does not answer. */
    leases,
    leaseFailures: () => leaseFailures,
    /** The operator's wall clock goes ahead by so much; its timers do not. */
    skip: (ms: number) => void (skippedMs += ms),
    writes,
    reads,
    report: reports.report,
    isReported: reports.isReported,
    setHeard: reports.setHeard,
    /** Writes seen after the operator had nothing to do for a while. */
    settle: async () => {
      const deadline = performance.now() + SETTLE_LIMIT_MS;
      for (let seen = -1; !operator.isIdle() || writes.length !== seen;) {
        if (performance.now() > deadline) throw new Error("the operator does not come to rest");
        seen = writes.length;
        await sleep(SETTLE_LOOK_MS);
      }
      return writes.length;
    },
    stop: async () => {
      await operator.stop();
      await client.close();
    },
  };
}
export type OperatorUnderTest = Awaited<ReturnType<typeof startOperator>>;

/** Stands for the journal's stream; the stream itself is covered by the journal's and the end-to-end tests. */
function createFakeReports(isHeard: boolean) {
  const latest = new Map<string, BotReport>();
  let heard = isHeard;
  let told: ReportHandlers | undefined;
  const source = (handlers: ReportHandlers): ReportSource => {
    told = handlers;
    return {
      start: () => {},
      stop: async () => {},
      latest: (key) => latest.get(key),
      isHeard: () => heard,
      forget: (key) => void latest.delete(key),
      entries: () => latest.entries(),
    };
  };
  return {
    source,
    setHeard: (value: boolean) => void (heard = value),
    isReported: (name: string) => latest.has(keyOf({ namespace: NAMESPACE, name })),
    report: (botName: string, podUid: string, report: Partial<Report>) => {
      const key = keyOf({ namespace: NAMESPACE, name: botName });
      const previous = latest.get(key);
      const next = {
        podUid,
        epoch: (previous?.epoch ?? 0) + (previous?.podUid === podUid ? 0 : 1),
        report: Report.parse({ ...QUIET_REPORT, ...report }),
        saidAtMs: performance.now(),
      };
      latest.set(key, next);
      told?.onReport(key, next, previous);
    },
  };
}

export const VERIFIED: VerificationResult = {
  state: "verified",
  reason: "Verified",
  message: "ok",
  permissions: ["trade"],
  balance: "1000",
  currency: "USDT",
  exchangeAccountId: "4711",
  asOf: "2026-01-01T00:00:00Z",
};
