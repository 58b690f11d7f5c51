import {
  type KubeClient,
  isAlreadyExists,
  isNotFound,
  keyOf,
  type NewObject,
  type Pod,
  PODS,
  type Reflector,
  type Resource,
  SERVICE_ACCOUNTS,
} from "@tradingbots/kube";
import type { AccountView } from "./account/account-view.ts";
import { isAccountInUse } from "./account/in-use.ts";
import type { ClusterView } from "./cluster-view.ts";
import { BOT_CLASSES, EXCHANGE_ACCOUNTS, TRADING_BOTS, TRADING_HALTS } from "./resources.ts";

/** An object as it was when a decision was made about it. */
interface Target {
  readonly namespace?: string;
  readonly name: string;
  readonly uid: string;
}

interface VersionedTarget extends Target {
  readonly resourceVersion: string;
}

/**
 * The writes of the operator. Each names the incarnation it is meant for, and its answer goes to the store at once, so that the
 * next decision sees it whether the watch has brought it or not.
 */
export function createClusterWrites(client: KubeClient, cluster: ClusterView) {
  async function createPod(pod: NewObject): Promise<void> {
    observePod(await client.create(PODS, pod));
  }

  /** Whether the API server would take the pod. @throws KubernetesError as for the real thing. */
  async function tryPod(pod: NewObject): Promise<void> {
    await client.create(PODS, pod, { dryRun: true });
  }

  /** Looks for a pod that the watch does not show. */
  async function findPod(key: { namespace: string; name: string }): Promise<Pod | undefined> {
    return client.get(PODS, key);
  }

  /** @param annotations null removes one */
  async function annotatePod(
    pod: Target,
    annotations: Record<string, string | null>,
  ): Promise<void> {
    const body = { metadata: { uid: pod.uid, annotations } };
    observePod(await client.patch(PODS, pod, { type: "merge", body }));
  }

  /** Guarded by the resource version: a state that its user has chosen meanwhile stays. */
  async function pauseBot(
    { namespace, name, uid, resourceVersion }: VersionedTarget & { readonly namespace: string },
    annotations: Record<string, string>,
  ): Promise<void> {
    const body = { metadata: { uid, resourceVersion, annotations }, spec: { state: "Paused" } };
    const key = { namespace, name };
    cluster.bots.observe(await client.patch(TRADING_BOTS, key, { type: "merge", body }));
  }

  /** Guarded by the resource version: a rollout goes on from what is written, never from what somebody has overtaken. */
  async function patchClassStatus(
    { name, uid, resourceVersion }: VersionedTarget,
    difference: object,
  ): Promise<void> {
    const body = { metadata: { uid, resourceVersion }, status: difference };
    const patch = { type: "merge", body, subresource: "status" } as const;
    cluster.classes.observe(await client.patch(BOT_CLASSES, { name }, patch));
  }

  /** @param labels null removes one */
  async function labelPod(pod: Target, labels: Record<string, string | null>): Promise<void> {
    const body = { metadata: { uid: pod.uid, labels } };
    observePod(await client.patch(PODS, pod, { type: "merge", body }));
  }

  /** Gives up a pod whose kubelet does not answer: the object goes, whatever becomes of the process. */
  async function releasePod(pod: Target): Promise<void> {
    const left = await client.remove(PODS, pod, { uid: pod.uid, gracePeriodSeconds: 0 });
    cluster.pods.observeRemoval(pod, left);
  }

  async function deletePod(pod: Target): Promise<void> {
    cluster.pods.observeRemoval(pod, await client.remove(PODS, pod, { uid: pod.uid }));
  }

  function observePod(pod: Pod): void {
    cluster.pods.observe(pod.metadata?.namespace ?? "", pod);
  }

  return {
    bots: objectWrites(client, TRADING_BOTS, cluster.bots),
    accounts: objectWrites(client, EXCHANGE_ACCOUNTS, cluster.accounts),
    halts: objectWrites(client, TRADING_HALTS, cluster.halts),
    createPod,
    tryPod,
    findPod,
    isAccountInUse: (account: AccountView) => isAccountInUse(account, client),
    observePod,
    annotatePod,
    pauseBot,
    patchClassStatus,
    labelPod,
    deletePod,
    releasePod,
    createServiceAccount: (account: NewObject) => createServiceAccount(client, cluster, account),
  };
}
export type ClusterWrites = ReturnType<typeof createClusterWrites>;

/**
 * One that is there already serves as well: an earlier answer was lost, or somebody made it. It is read, because without the
 * operator's label no watch would ever show it.
 */
async function createServiceAccount(
  client: KubeClient,
  { serviceAccounts }: ClusterView,
  account: NewObject,
): Promise<void> {
  const { namespace = "", name } = account.metadata;
  try {
    serviceAccounts.observe(namespace, await client.create(SERVICE_ACCOUNTS, account));
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
    const known = await client.get(SERVICE_ACCOUNTS, { namespace, name });
    if (known === undefined) throw error; // gone this instant: try again
    serviceAccounts.observe(namespace, known);
  }
}

type Observer<T> = Pick<Reflector<T, never>, "observe" | "observeRemoval">;

function objectWrites<T extends { readonly metadata: { readonly uid: string } }>(
  client: KubeClient,
  resource: Resource<T>,
  { observe, observeRemoval }: Observer<T>,
) {
  /** @throws KubernetesError Conflict when the object has changed since the decision: the next one follows with what the watch tells */
  async function replaceStatus(target: VersionedTarget, status: object): Promise<void> {
    observe(await client.replaceStatus(resource, target, status));
  }

  /** Guarded by the resource version: finalizers are a list of several owners. */
  async function setFinalizers(
    target: VersionedTarget,
    finalizers: readonly string[],
  ): Promise<void> {
    const { uid, resourceVersion } = target;
    const body = { metadata: { uid, resourceVersion, finalizers } };
    try {
      observe(await client.patch(resource, target, { type: "merge", body }));
    } catch (error) {
      if (!isNotFound(error)) throw error; // gone already
    }
  }

  /** Whether the API server itself still has this incarnation; the store learns when it has not. */
  async function isThere(target: Target): Promise<boolean> {
    const { uid } = target;
    const known = await client.get(resource, target);
    if (known?.metadata.uid === uid) return true;
    observeRemoval({ key: keyOf(target), uid }, undefined);
    return false;
  }

  /** Background: the object's pod has ended before. */
  async function remove(target: Target): Promise<void> {
    const { uid } = target;
    const left = await client.remove(resource, target, { uid, propagationPolicy: "Background" });
    observeRemoval({ key: keyOf(target), uid }, left);
  }

  return { replaceStatus, setFinalizers, isThere, remove };
}
