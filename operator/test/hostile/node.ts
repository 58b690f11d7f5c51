import { setTimeout as sleep } from "node:timers/promises";
import { ANNOTATIONS, BotConfig, LABELS, Report, type VerificationResult } from "@tradingbots/crds";
import { type KubeClient, KubernetesError, type Pod, PODS, type Resource } from "@tradingbots/kube";
import type { Bystander } from "./bystander.ts";
import type { FakeReports } from "./reports.ts";

interface NodeOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly bystander: Bystander;
  readonly reports: FakeReports;
  /** From [0, 1). */
  readonly random: () => number;
}

/** A step of the kubelet takes up to this long. */
const STEP_MS = 40;
/** A process that fails is started again after a pause that counts from its end: one long past keeps runs short. */
const LONG_AGO = "2020-01-01T00:00:00Z";

/**
 * Kubelet and programs in one: binds pods, makes them ready, has bots obey their configuration and end when nothing is to be traded,
 * and finds every key in order.
 */
export function createNode({ client, namespace, bystander, reports, random }: NodeOptions) {
  const busy = new Set<string>();
  const obeyed = new Map<string, string>();
  const crashed = new Set<string>();
  const stopping = new AbortController();

  bystander.onPod((pod) => void attend(pod.metadata?.uid ?? ""));

  /** Takes steps until the pod is as its configuration wants it; one at a time for each pod. */
  async function attend(uid: string): Promise<void> {
    if (busy.has(uid)) return;
    busy.add(uid);
    try {
      for (let acted = true; acted && !stopping.signal.aborted;) {
        const pod = bystander.pods().get(uid);
        const version = pod?.metadata?.resourceVersion;
        acted = pod !== undefined && (await step(pod));
        if (acted) await changed(uid, version);
      }
    } finally {
      busy.delete(uid);
    }
  }

  async function changed(uid: string, version: string | undefined): Promise<void> {
    const isSame = () => bystander.pods().get(uid)?.metadata?.resourceVersion === version;
    for (let waitedMs = 0; isSame() && waitedMs < 500; waitedMs += 10) await sleep(10);
  }

  /** False when there is nothing to do. */
  async function step(pod: Pod): Promise<boolean> {
    const todo = nextStep(pod);
    if (todo === undefined) return false;
    await sleep(random() * STEP_MS);
    try {
      await todo();
    } catch (error) {
      // Gone, changed or ended meanwhile: the watch tells.
      if (!(error instanceof KubernetesError) || error.status >= 500) throw error;
    }
    return true;
  }

  function nextStep(pod: Pod): (() => Promise<unknown>) | undefined {
    const { name = "", uid = "", deletionTimestamp, annotations, labels } = pod.metadata ?? {};
    const hasEnded = pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
    const key = { namespace, name };
    if (deletionTimestamp !== undefined && (hasEnded || pod.spec?.nodeName === undefined)) {
      return () => client.remove(PODS, key, { uid, gracePeriodSeconds: 0 });
    }
    if (hasEnded) return undefined;
    if (pod.spec?.nodeName === undefined) return () => client.create(bindings(name), binding(key));
    if (crashed.delete(uid)) return () => setStatus(name, uid, ended("Failed", undefined));
    if (labels?.[LABELS.role] === "verify") {
      return () => setStatus(name, uid, ended("Succeeded", verified(namespace)));
    }
    const config = annotations?.[ANNOTATIONS.config] ?? "";
    const { state, generation } = BotConfig.parse(JSON.parse(config));
    const epoch = reports.epochOf(name, uid);
    if (deletionTimestamp !== undefined || state !== "Running") {
      return () => setStatus(name, uid, ended("Succeeded", { flat: true, epoch }));
    }
    if (pod.status?.phase === "Running" && obeyed.get(uid) === config) return undefined;
    return async () => {
      obeyed.set(uid, config);
      reports.report(name, uid, Report.parse({ ...QUIET, generation }));
      await setStatus(name, uid, RUNNING);
    };
  }

  async function setStatus(name: string, uid: string, status: object): Promise<void> {
    const body = { metadata: { uid }, status };
    const patch = { type: "merge", body, subresource: "status" } as const;
    await client.patch(PODS, { namespace, name }, patch);
  }

  return {
    /** Its process dies without a word. */
    crash: (uid: string) => {
      crashed.add(uid);
      void attend(uid);
    },
    /** Nothing is under way: a process that shall die may have to wait for the step before. */
    isIdle: () => busy.size === 0,
    stop: () => stopping.abort(),
  };
}
export type Node = ReturnType<typeof createNode>;

const QUIET = {
  state: "Running",
  flat: true,
  protected: true,
  trading: true,
  blocked: [],
  positions: [],
  balance: null,
  dayResult: "0",
  lastTradeAt: null,
  halts: [],
  leased: true,
  consecutiveErrors: 0,
  asOf: LONG_AGO,
};

/** One exchange account a run. */
function verified(namespace: string): VerificationResult {
  return {
    state: "verified",
    reason: "Verified",
    message: "ok",
    permissions: ["trade"],
    exchangeAccountId: namespace,
    asOf: `${new Date().toISOString().slice(0, 19)}Z`,
  };
}

const container = (state: object, ready: boolean) => ({
  name: "bot",
  image: "bot:1",
  imageID: "",
  ready,
  restartCount: 0,
  state,
});

const RUNNING = {
  phase: "Running",
  conditions: [{ type: "Ready", status: "True" }],
  containerStatuses: [container({ running: { startedAt: LONG_AGO } }, true)],
};

function ended(phase: "Succeeded" | "Failed", message: object | undefined) {
  const exitCode = phase === "Succeeded" ? 0 : 1;
  const said = message === undefined ? {} : { message: JSON.stringify(message) };
  const terminated = { exitCode, finishedAt: LONG_AGO, ...said };
  return {
    phase,
    conditions: [{ type: "Ready", status: "False" }],
    containerStatuses: [container({ terminated }, false)],
  };
}

const bindings = (pod: string): Resource<unknown> => ({
  apiVersion: "v1",
  kind: "Binding",
  plural: `pods/${pod}/binding`,
  scope: "Namespaced",
  read: (value) => value,
});

function binding(metadata: { readonly namespace: string; readonly name: string }) {
  const target = { apiVersion: "v1", kind: "Node", name: "node-1" };
  return { apiVersion: "v1", kind: "Binding", metadata, target };
}
