import { ANNOTATIONS, AUDIENCES, LABELS, POD_PATHS, type PodTemplate } from "@tradingbots/crds";
import { dirname, basename } from "node:path";
import type { PodSettings } from "./config.ts";
import { MANAGED_BY } from "./resources.ts";

/** The pieces that bot and verify pods share. Each function builds one piece and does nothing else. */

export const AGENT_CONTAINER = "vault-agent";
const USER = 10_001;
/** The kubelet renews a token when 80 % of its life is over; 10 minutes is the shortest that Kubernetes grants. */
const VAULT_TOKEN_SECONDS = 600;
const JOURNAL_TOKEN_SECONDS = 3_600;

export function podLabels(labels: Readonly<Record<string, string | undefined>>) {
  const all = {
    [LABELS.name]: "tradingbots",
    [LABELS.managedBy]: MANAGED_BY,
    ...labels,
  };
  return Object.fromEntries(
    Object.entries(all).filter((label): label is [string, string] => label[1] !== undefined),
  );
}

/** Restricted pod security; one group, so that the process may read projected tokens and the agent's file. */
export const POD_SECURITY = {
  runAsNonRoot: true,
  runAsUser: USER,
  runAsGroup: USER,
  fsGroup: USER,
  seccompProfile: { type: "RuntimeDefault" },
};

export const CONTAINER_SECURITY = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
};

/** Fetches the key into the pod's memory and ends: a resident agent would cost more than the bot. */
export function vaultAgent(settings: PodSettings) {
  return {
    name: AGENT_CONTAINER,
    image: settings.vaultImage,
    imagePullPolicy: settings.imagePullPolicy,
    command: ["vault", "agent", "-config=/etc/vault-agent/agent.hcl"],
    env: [
      { name: "VAULT_ADDR", value: settings.vaultAddress },
      fieldVariable("POD_NAMESPACE", "metadata.namespace"),
      fieldVariable("SERVICE_ACCOUNT", "spec.serviceAccountName"),
      { name: "HOME", value: "/tmp" },
      { name: "SKIP_SETCAP", value: "1" },
    ],
    // Runs before the bot, so its requests do not add to the bot's: the pod is counted with the greater of the two.
    resources: { requests: { cpu: "10m", memory: "64Mi" }, limits: { memory: "192Mi" } },
    securityContext: CONTAINER_SECURITY,
    volumeMounts: [
      { name: "vault-agent", mountPath: "/etc/vault-agent", readOnly: true },
      { name: "vault-token", mountPath: dirname(POD_PATHS.vaultToken), readOnly: true },
      { name: "credentials", mountPath: dirname(POD_PATHS.credentials) },
      { name: "agent-home", mountPath: "/tmp" },
    ],
  };
}

export function fieldVariable(name: string, fieldPath: string) {
  return { name, valueFrom: { fieldRef: { fieldPath } } };
}

export const CONFIG_MOUNT = {
  name: "config",
  mountPath: dirname(POD_PATHS.config),
  readOnly: true,
};
export const CREDENTIALS_MOUNT = {
  name: "credentials",
  mountPath: dirname(POD_PATHS.credentials),
  readOnly: true,
};
export const JOURNAL_TOKEN_MOUNT = {
  name: "journal-token",
  mountPath: dirname(POD_PATHS.journalToken),
  readOnly: true,
};

/** The annotation as a file that follows its changes. */
export function configVolume() {
  const fieldPath = `metadata.annotations['${ANNOTATIONS.config}']`;
  return {
    name: "config",
    downwardAPI: { items: [{ path: basename(POD_PATHS.config), fieldRef: { fieldPath } }] },
  };
}

export function journalTokenVolume() {
  return tokenVolume("journal-token", {
    audience: AUDIENCES.journal,
    expirationSeconds: JOURNAL_TOKEN_SECONDS,
    path: basename(POD_PATHS.journalToken),
  });
}

/** What the agent needs, and the key's place in memory. */
export function vaultVolumes() {
  return [
    tokenVolume("vault-token", {
      audience: AUDIENCES.vault,
      expirationSeconds: VAULT_TOKEN_SECONDS,
      path: basename(POD_PATHS.vaultToken),
    }),
    { name: "vault-agent", configMap: { name: "vault-agent" } },
    { name: "credentials", emptyDir: { medium: "Memory", sizeLimit: "1Mi" } },
    { name: "agent-home", emptyDir: { medium: "Memory", sizeLimit: "4Mi" } },
  ];
}

function tokenVolume(
  name: string,
  serviceAccountToken: {
    readonly audience: string;
    readonly expirationSeconds: number;
    readonly path: string;
  },
) {
  return { name, projected: { sources: [{ serviceAccountToken }] } };
}

export function placementOf({ placement }: PodTemplate) {
  return {
    ...(placement?.nodeSelector === undefined ? {} : { nodeSelector: placement.nodeSelector }),
    ...(placement?.runtimeClassName === undefined
      ? {}
      : { runtimeClassName: placement.runtimeClassName }),
    ...(placement?.priorityClassName === undefined
      ? {}
      : { priorityClassName: placement.priorityClassName }),
  };
}

/** Where pods of a template reach an exchange instead of its public address; null for the public one. */
export function endpointOf({ endpoints }: PodTemplate, exchange: string) {
  const override = endpoints?.find((endpoint) => endpoint.exchange === exchange);
  if (override === undefined) return null;
  return { restUrl: override.restUrl, websocketUrl: override.websocketUrl };
}
