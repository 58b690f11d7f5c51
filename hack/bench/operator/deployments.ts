import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { toolPath } from "../../tools/tools.ts";
import type { BareClient } from "./bare-client.ts";
import { type BenchCluster } from "./bench-cluster.ts";
import { inParallel } from "./creations.ts";
import type { Member } from "./population.ts";
import { createStamp } from "./stamp.ts";
import type { Template } from "./template.ts";

/** Each look is a list of all of them, which costs the API server what it would otherwise do for them. */
export const LOOK_EVERY_MS = 250;
const DONE_WITHIN_MS = 180_000;

const Status = z.object({
  observedGeneration: z.number().default(0),
  replicas: z.number().default(0),
});
const Deployments = z.object({
  items: z.array(z.object({ status: Status.default({ observedGeneration: 0, replicas: 0 }) })),
});
const PodBody = z.object({
  metadata: z.object({
    labels: z.record(z.string(), z.string()),
    annotations: z.record(z.string(), z.string()),
  }),
  spec: z.looseObject({}),
});

/** Kubernetes' own controllers of Deployments and ReplicaSets, with as many workers as the operator and no limit on requests. */
export async function startDeploymentControllers({ controlPlane }: BenchCluster) {
  const child = spawn(
    await toolPath("kube-controller-manager"),
    [
      `--kubeconfig=${controlPlane.kubeconfigPath}`,
      "--controllers=deployment-controller,replicaset-controller",
      "--concurrent-deployment-syncs=32",
      "--concurrent-replicaset-syncs=32",
      "--kube-api-qps=100000",
      "--kube-api-burst=100000",
      "--leader-elect=false",
      "--secure-port=0",
    ],
    { stdio: "ignore" },
  );
  return {
    pid: child.pid ?? 0,
    stop: async () => {
      if (child.exitCode !== null) return;
      child.kill("SIGTERM");
      await once(child, "exit");
    },
  };
}

/** As many Deployments of one replica with the operator's pod; done when each has its pod and says so. Deployments per second. */
export async function deploymentsPerSecond(
  client: BareClient,
  template: Template,
  members: readonly Member[],
): Promise<number> {
  const stamp = createStamp(template.of);
  const startedMs = performance.now();
  await inParallel(members.length, async (index) => {
    const of = members[index];
    if (of === undefined) return;
    const body = JSON.stringify(deployment(of, stamp(template.requests.pod, of)));
    await client.json({ method: "POST", path: deploymentsPath(of.namespace), body });
  });
  await untilAllHavePods(client, members);
  return members.length / ((performance.now() - startedMs) / 1_000);
}

function deployment({ namespace, botName }: Member, pod: string) {
  const { metadata, spec } = PodBody.parse(JSON.parse(pod));
  const { labels, annotations } = metadata;
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { namespace, name: botName },
    spec: {
      replicas: 1,
      selector: { matchLabels: { "tradingbots.dev/bot": botName } },
      template: {
        metadata: { labels, annotations },
        spec: { ...spec, restartPolicy: "Always" }, // the only policy that a Deployment takes
      },
    },
  };
}

function deploymentsPath(namespace: string): string {
  return `/apis/apps/v1/namespaces/${namespace}/deployments`;
}

async function untilAllHavePods(client: BareClient, members: readonly Member[]): Promise<void> {
  const wanted = new Map<string, number>();
  for (const { namespace } of members) wanted.set(namespace, (wanted.get(namespace) ?? 0) + 1);
  const deadline = performance.now() + DONE_WITHIN_MS;
  for (const namespace of wanted.keys()) {
    for (;;) {
      const answer = await client.json({ method: "GET", path: deploymentsPath(namespace) });
      const { items } = Deployments.parse(answer);
      const missing = items.filter(({ status: { replicas } }) => replicas === 0).length;
      if (missing === 0) break;
      if (performance.now() > deadline) throw new Error(`${missing} Deployments have no pod`);
      await sleep(LOOK_EVERY_MS);
    }
  }
}
