import { setTimeout as sleep } from "node:timers/promises";
import { ANNOTATIONS, BotConfig, type ExchangeAccount, type TradingBot } from "@tradingbots/crds";
import {
  createKubeClient,
  type KubeClient,
  kubeconfigAccess,
  keyOf,
  NAMESPACES,
  type Pod,
  PODS,
} from "@tradingbots/kube";
import { pino } from "pino";
import type { Pool } from "undici";
import { startControllers } from "../../../hack/control-plane/controllers.ts";
import { createRandom, randomUuid } from "../../../hack/exchange-simulator/random.ts";
import { conditionOf } from "../../src/conditions.ts";
import { createMetrics } from "../../src/metrics.ts";
import { createOperator } from "../../src/operator.ts";
import { type PodView, podView } from "../../src/pod-view.ts";
import { BOT_CLASSES, EXCHANGE_ACCOUNTS, TRADING_BOTS } from "../../src/resources.ts";
import { createFakeVault, type FakeVault } from "../fake-vault.ts";
import { botClass, startPlatform } from "../platform.ts";
import { type Bystander, createBystander } from "./bystander.ts";
import { createFaults } from "./faults.ts";
import { createNode, type Node } from "./node.ts";
import { letPeopleAct } from "./people.ts";
import { connectUpstream, type HostileProxy, startHostileProxy } from "./proxy.ts";
import { createFakeReports, type FakeReports } from "./reports.ts";

interface Battlefield {
  /** Reaches the API server past all faults. */
  readonly client: KubeClient;
  readonly upstream: Pool;
}

/**
 * A real API server and Kubernetes' own garbage collector. The collector, because a finalizer that is added does not hold up a deletion
 * that has begun: the server answers the patch and deletes the bot all the same, and a pod that was made in between is left to it.
 */
export async function startBattlefield(): Promise<Battlefield & { stop(): Promise<void> }> {
  const platform = await startPlatform();
  const controllers = await startControllers(platform, ["garbage-collector-controller"]);
  const access = await kubeconfigAccess(platform.kubeconfigPath);
  const [client, upstream] = [createKubeClient(access), connectUpstream(access)];
  return {
    client,
    upstream,
    stop: async () => {
      await Promise.all([client.close(), upstream.destroy()]);
      await controllers.stop();
      await platform.stop();
    },
  };
}

export interface Outcome {
  readonly seed: number;
  /** What went wrong, as sentences; nothing when all is well. */
  readonly wrongs: readonly string[];
  readonly faults: ReadonlyMap<string, number>;
  readonly podsSeen: number;
  readonly durationMs: number;
}

/** From the last fault until everything is as it should be: back-off of what failed several times, on a busy machine. */
const CONVERGE_LIMIT_MS = 60_000;
const LOOK_MS = 40;
/** Longer than what the operator gathers into one write. */
const QUIET_MS = 250;
/** A watch without a line for so long counts as dead: the server's bookmarks come once a minute, and a run does not last that long. */
const STALL_MS = 4_000;
/** Every such end counts as a failure, which in earnest it does not: the pauses must not grow with them. */
const BACK_OFF = { initialMs: 20, maxMs: 200 };

/** Several runs side by side, each in a namespace of its own. */
export async function runSeeds(
  seeds: readonly number[],
  { side, ...field }: Battlefield & { readonly side: number },
  onOutcome: (outcome: Outcome) => void,
): Promise<void> {
  const waiting = [...seeds];
  const lane = async () => {
    for (let seed = waiting.shift(); seed !== undefined; seed = waiting.shift()) {
      onOutcome(await run(seed, field));
    }
  };
  await Promise.all(Array.from({ length: side }, lane));
}

/** One run: bots, people and nodes on a real API server, the operator behind a hostile one; then peace, and a look at what is. */
async function run(seed: number, field: Battlefield): Promise<Outcome> {
  const startedAt = performance.now();
  const namespace = `tradingbots-${seed}-${Math.floor(startedAt)}`;
  await createNamespace(field.client, namespace);
  await field.client.create(BOT_CLASSES, botClass(namespace, "bot:1"));
  const faults = createFaults(seed);
  const proxy = await startHostileProxy({ upstream: field.upstream, faults, namespace });
  const bystander = createBystander(field.client, namespace);
  const reports = createFakeReports(namespace);
  const node = createNode({
    client: field.client,
    namespace,
    bystander,
    reports,
    random: createRandom(seed, 2),
  });
  const vault = createFakeVault();
  const operator = operatorBehind(proxy, { namespace, reports, vault });
  try {
    operator.follow();
    const leading = operator.synced.then(() => operator.act());
    const random = createRandom(seed, 3);
    const userId = randomUuid(random);
    const cast = { client: field.client, namespace, bystander, node, vault };
    await letPeopleAct({ ...cast, userId, random, acting: leading });
    faults.cease();
    const scene = { field, namespace, proxy, bystander, node, operator };
    const wrongs = [...(await judge(scene, leading)), ...bystander.wrongs()];
    const durationMs = performance.now() - startedAt;
    return { seed, wrongs, faults: faults.counts(), podsSeen: bystander.podsSeen(), durationMs };
  } finally {
    faults.cease();
    await operator.stop();
    node.stop();
    await proxy.close();
    await bystander.stop();
    await clear(field.client, namespace);
  }
}

interface Scene {
  readonly field: Battlefield;
  readonly namespace: string;
  readonly proxy: HostileProxy;
  readonly bystander: Bystander;
  readonly node: Node;
  readonly operator: ReturnType<typeof operatorBehind>;
}

async function judge(scene: Scene, leading: Promise<void>): Promise<readonly string[]> {
  const deadline = performance.now() + CONVERGE_LIMIT_MS;
  const late = sleep(CONVERGE_LIMIT_MS).then(() => "late" as const);
  if ((await Promise.race([leading, late])) === "late") return ["the operator never saw the state"];
  await untilDone(scene, deadline);
  const unsettled = unfinished(scene);
  if (unsettled.length > 0) return unsettled;
  const { proxy } = scene;
  const before = proxy.writes.length;
  proxy.expireWatches();
  await sleep(QUIET_MS);
  await untilDone(scene, deadline);
  const after = proxy.writes.slice(before);
  const { field, namespace, operator } = scene;
  const there = {
    bots: await field.client.list(TRADING_BOTS, { namespace }),
    accounts: await field.client.list(EXCHANGE_ACCOUNTS, { namespace }),
    pods: await field.client.list(PODS, { namespace }),
  };
  return [
    ...after.map((write) => `written although nothing had changed: ${write}`),
    ...unfinished(scene),
    ...differences(operator.cluster, there),
  ];
}

/** Waits until all is as it should be, and has stayed so without a write. */
async function untilDone(scene: Scene, deadline: number): Promise<void> {
  const { proxy, node, operator } = scene;
  for (let calmSince = performance.now(), seen = -1; performance.now() < deadline;) {
    const isCalm = proxy.writes.length === seen && node.isIdle() && operator.isIdle();
    const isDone = isCalm && unfinished(scene).length === 0;
    if (!isDone) calmSince = performance.now();
    else if (performance.now() - calmSince >= QUIET_MS) return;
    seen = proxy.writes.length;
    await sleep(LOOK_MS);
  }
}

/** What is not yet as the specifications want it, or not yet known to the operator. */
function unfinished({ bystander, operator }: Scene): readonly string[] {
  const bots = [...bystander.bots().values()];
  const accounts = [...bystander.accounts().values()];
  const pods = [...bystander.pods().values()];
  const wrongs = bots.flatMap((bot) => {
    const wrong = faultOf(bot, bystander);
    return wrong === undefined ? [] : [`${bot.metadata.name} (${bot.spec.state}): ${wrong}`];
  });
  const wrongAccounts = accounts.flatMap((account) => {
    const wrong = faultOfAccount(account);
    return wrong === undefined ? [] : [`${account.metadata.name}: ${wrong}`];
  });
  const owners = new Set([...bots, ...accounts].map(({ metadata }) => metadata.uid));
  const orphans = pods.filter(({ metadata }) => !owners.has(ownerOf(metadata) ?? ""));
  return [
    ...wrongs,
    ...wrongAccounts,
    ...orphans.map(({ metadata }) => `the pod ${metadata?.name} has outlived its owner`),
    ...differences(operator.cluster, { bots, accounts, pods }),
  ];
}

function ownerOf(metadata: Pod["metadata"]): string | undefined {
  return metadata?.ownerReferences?.[0]?.uid;
}

function faultOf(
  { metadata, spec, status }: TradingBot,
  { podOf, accounts }: Bystander,
): string | undefined {
  const pod = podOf(metadata.name);
  if (metadata.deletionTimestamp !== undefined) return "it should be gone";
  if (spec.state === "Retired") return "it should be retired and gone";
  const ready = conditionOf(status?.conditions, "Ready");
  if (status?.observedGeneration !== metadata.generation) {
    return `its status is of ${status?.observedGeneration}, not ${metadata.generation}: ${ready?.reason}`;
  }
  if (spec.state !== "Running") {
    return pod === undefined ? undefined : "it has a pod";
  }
  const { accountName } = spec;
  const account = accounts().get(accountName ?? "");
  if (accountName !== undefined && account === undefined) {
    // It came after the end of its account: nobody may start it.
    return pod === undefined && ready?.reason === "AccountNotFound"
      ? undefined
      : "it has no account";
  }
  if (pod === undefined) return `it has no pod: ${ready?.reason} ${ready?.message}`;
  if (ownerOf(pod.metadata) !== metadata.uid) return "its pod is another's";
  const text = pod.metadata?.annotations?.[ANNOTATIONS.config] ?? "";
  const config = BotConfig.parse(JSON.parse(text));
  if (config.generation !== metadata.generation) return "its pod knows an older specification";
  const keyOfPod = pod.metadata?.annotations?.[ANNOTATIONS.credentialsVersion];
  if (keyOfPod !== account?.spec.credentialsVersion.toString()) return "its pod has an older key";
  return ready?.status === "True" ? undefined : `it is not ready: ${ready?.reason}`;
}

function faultOfAccount({ metadata, spec, status }: ExchangeAccount): string | undefined {
  const isOver = metadata.deletionTimestamp !== undefined || spec.state === "Retired";
  if (isOver) return "it should be gone";
  const { state, credentialsVersion } = status?.verification ?? {};
  if (state !== "verified" || credentialsVersion !== spec.credentialsVersion) {
    return `version ${spec.credentialsVersion} of its key is not verified`;
  }
  const ready = conditionOf(status?.conditions, "Ready");
  return ready?.status === "True" ? undefined : `it is not ready: ${ready?.reason}`;
}

interface Objects {
  readonly bots: readonly TradingBot[];
  readonly accounts: readonly ExchangeAccount[];
  readonly pods: readonly Pod[];
}

/** The operator's stores against the objects there are, one by one. */
function differences(
  { bots, accounts, pods }: ReturnType<typeof createOperator>["cluster"],
  there: Objects,
): readonly string[] {
  return [
    ...compare(signsOf(bots.store.views()), signsOf(there.bots.map(stateOf))),
    ...compare(signsOf(accounts.store.views()), signsOf(there.accounts.map(stateOf))),
    ...compare(saying(pods.views()), saying(there.pods.map((pod) => podView(pod)))),
  ];
}

/** All that the operator sees of pods: whether one has ended, too. */
function saying(pods: Iterable<PodView>): ReadonlyMap<string, string> {
  return new Map(Array.from(pods, (pod) => [pod.key, JSON.stringify(inOrder(pod))]));
}

function inOrder(pod: PodView) {
  return Object.entries(pod).toSorted(([a], [b]) => (a < b ? -1 : 1));
}

interface State {
  readonly key: string;
  readonly uid: string;
  readonly resourceVersion: string;
}

function stateOf({ metadata }: TradingBot | ExchangeAccount): State {
  return { ...metadata, key: keyOf(metadata) };
}

function signsOf(states: Iterable<State>): ReadonlyMap<string, string> {
  return new Map(
    [...states].map(({ key, uid, resourceVersion }) => [key, `${uid} ${resourceVersion}`]),
  );
}

function compare(here: ReadonlyMap<string, string>, there: ReadonlyMap<string, string>) {
  return [...new Set([...here.keys(), ...there.keys()])]
    .filter((key) => there.get(key) !== here.get(key))
    .map((key) => `the store says ${here.get(key)} of ${key}, the server ${there.get(key)}`);
}

function operatorBehind(
  proxy: HostileProxy,
  {
    namespace,
    reports,
    vault,
  }: { readonly namespace: string; readonly reports: FakeReports; readonly vault: FakeVault },
) {
  const client = createKubeClient({
    server: proxy.url,
    ca: () => undefined,
    clientCertificate: undefined,
    token: () => undefined,
  });
  const operator = createOperator(
    {
      namespaces: [namespace],
      podName: "operator-0",
      verifyClass: namespace,
      vaultLoginsPerSecond: 1_000,
      pods: {
        vaultAddress: "http://vault:8200",
        vaultImage: "vault:1",
        journalUrl: "http://journal:8081",
        imagePullPolicy: "IfNotPresent",
      },
      watch: { stallMs: STALL_MS, backOff: BACK_OFF },
    },
    {
      client,
      vault,
      reports: reports.source,
      leases: { leftMs: async () => 0 },
      metrics: createMetrics(),
      log: pino({ level: process.env["LOG_LEVEL"] ?? "silent" }), // oxlint-disable-line node/no-process-env
      guard: { mayWrite: () => true },
      now: () => new Date(),
      clock: () => performance.now(),
    },
  );
  return {
    ...operator,
    stop: async () => {
      await operator.stop();
      await client.close();
    },
  };
}

async function createNamespace(client: KubeClient, name: string): Promise<void> {
  const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
  await client.create(NAMESPACES, {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name, labels },
  });
}

/** Nothing is left for the next run to carry; the namespace itself stays, because nobody here finalizes namespaces. */
async function clear(client: KubeClient, namespace: string): Promise<void> {
  for (const kind of [TRADING_BOTS, EXCHANGE_ACCOUNTS]) {
    for (const { metadata } of await client.list<TradingBot | ExchangeAccount>(kind, {
      namespace,
    })) {
      const body = { metadata: { finalizers: null } };
      await client.patch<unknown>(kind, metadata, { type: "merge", body });
      await client.remove<unknown>(kind, metadata);
    }
  }
  for (const { metadata } of await client.list(PODS, { namespace })) {
    const key = { namespace, name: metadata?.name ?? "" };
    await client.remove(PODS, key, { gracePeriodSeconds: 0 });
  }
}
