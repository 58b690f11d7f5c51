import { setTimeout as sleep } from "node:timers/promises";
import {
  BotClass,
  customResourceDefinition,
  ExchangeAccount,
  TradingBot,
  TradingHalt,
} from "@tradingbots/crds";
import {
  createKubeClient,
  customResource,
  type KubeClient,
  kubeconfigAccess,
  NAMESPACES,
  type Resource,
} from "@tradingbots/kube";
import { type ControlPlane, startControlPlane } from "../../control-plane/control-plane.ts";

/** A real etcd and API server with the platform's kinds, one class, and nothing else that writes. */
export interface BenchCluster {
  readonly controlPlane: ControlPlane;
  readonly client: KubeClient;
  readonly stop: () => Promise<void>;
}

export const CLASS = "bench";
const IMAGE = "registry.example/tradingbots/bot:1.0.0";
const SERVED_WITHIN_MS = 30_000;

const CRDS: Resource<unknown> = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  plural: "customresourcedefinitions",
  scope: "Cluster",
  read: (value) => value,
};

export async function startBenchCluster(namespaces: readonly string[]): Promise<BenchCluster> {
  const controlPlane = await startControlPlane();
  const client = createKubeClient(await kubeconfigAccess(controlPlane.kubeconfigPath));
  const stop = async () => {
    await client.close();
    await controlPlane.stop();
  };
  try {
    for (const kind of [TradingBot, ExchangeAccount, BotClass, TradingHalt]) {
      const manifest = customResourceDefinition(kind);
      const metadata = { name: `${kind.plural}.${kind.group}` };
      await client.create(CRDS, { ...manifest, metadata });
    }
    for (const name of namespaces) await createNamespace(client, name);
    for (const kind of [TradingBot, ExchangeAccount, BotClass, TradingHalt]) {
      await untilServed(client, customResource<unknown>(kind));
    }
    await client.create(customResource(BotClass), {
      apiVersion: BotClass.apiVersion,
      kind: BotClass.kind,
      metadata: { name: CLASS },
      spec: { image: IMAGE, ceilings: { botsPerUser: 10 } },
    });
    return { controlPlane, client, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A bucket namespace as the chart makes it. */
async function createNamespace(client: KubeClient, name: string): Promise<void> {
  const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
  await client.create(NAMESPACES, {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name, labels },
  });
}

/** The API server serves a new kind a moment after its CRD is stored. */
async function untilServed(client: KubeClient, resource: Resource<unknown>): Promise<void> {
  const deadline = performance.now() + SERVED_WITHIN_MS;
  for (;;) {
    try {
      await client.list(resource);
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await sleep(100);
    }
  }
}
