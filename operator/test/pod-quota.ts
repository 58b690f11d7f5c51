import { PODS, type Resource, SERVICE_ACCOUNTS } from "@tradingbots/kube";
import { NAMESPACE, type Platform } from "./platform.ts";
import { eventually } from "./scenes.ts";

/** What the quota controller, which does not run here, would keep. */
export async function setPodQuota({ client }: Platform, pods: string): Promise<void> {
  const key = { namespace: NAMESPACE, name: "pods" };
  const known = await client.get(QUOTAS, key);
  const spec = { hard: { pods } };
  if (known === undefined) {
    await client.create(QUOTAS, { apiVersion: "v1", kind: "ResourceQuota", metadata: key, spec });
  }
  const body = { spec, status: { hard: { pods }, used: { pods: "0" } } };
  await client.patch(QUOTAS, key, { type: "merge", body });
  await client.patch(QUOTAS, key, { type: "merge", body, subresource: "status" });
  const account = { namespace: NAMESPACE, name: SOMEBODY };
  if ((await client.get(SERVICE_ACCOUNTS, account)) === undefined) {
    await client.create(SERVICE_ACCOUNTS, {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: account,
    });
  }
  const refuses = async () =>
    client.create(PODS, foreignPod("probe"), { dryRun: true }).then(
      () => false,
      (error: unknown) => String(error).includes("quota"),
    );
  await eventually(refuses).toBe(pods === "0");
}

const QUOTAS: Resource<unknown> = {
  apiVersion: "v1",
  kind: "ResourceQuota",
  plural: "resourcequotas",
  scope: "Namespaced",
  read: (value) => value,
};

const SOMEBODY = "somebody";

/** A pod that no bot has asked for, and that the cluster would take. */
export function foreignPod(name: string) {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace: NAMESPACE, name },
    spec: {
      automountServiceAccountToken: false,
      serviceAccountName: SOMEBODY,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
      containers: [
        {
          name: "x",
          image: "x",
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
        },
      ],
    },
  };
}
