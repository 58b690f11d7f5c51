import {
  ANNOTATIONS,
  LABELS,
  POD_PATHS,
  type PodTemplate,
  type VerifyConfig,
  verifyPodName,
} from "@tradingbots/crds";
import type { ClassView } from "../class-view.ts";
import type { PodSettings } from "../config.ts";
import type { PodView } from "../pod-view.ts";
import {
  CONFIG_MOUNT,
  configVolume,
  CONTAINER_SECURITY,
  CREDENTIALS_MOUNT,
  endpointOf,
  placementOf,
  POD_SECURITY,
  podLabels,
  vaultAgent,
  vaultVolumes,
} from "../pod-parts.ts";
import type { AccountView } from "./account-view.ts";
import { ownerOf } from "./service-account.ts";

/** Image pull, login at Vault and a few requests to the exchange; what takes longer is tried again by another pod. */
const DEADLINE_SECONDS = 120;
const GRACE_SECONDS = 5;

/** Asks the exchange once what a key may do. It runs as the account, like its bots, and with the last image that proved good. */
export function verifyPod(account: AccountView, botClass: ClassView, settings: PodSettings) {
  const { namespace, name, spec } = account;
  const version = spec.credentialsVersion;
  const template = botClass.rollout.stable;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      namespace,
      name: verifyPodName(name, version),
      labels: podLabels({
        [LABELS.component]: "verify",
        [LABELS.role]: "verify",
        [LABELS.user]: spec.userId,
        [LABELS.class]: botClass.name,
        [LABELS.account]: name,
      }),
      annotations: {
        [ANNOTATIONS.config]: JSON.stringify(verifyConfig(account, botClass)),
        [ANNOTATIONS.credentialsVersion]: String(version),
      },
      ownerReferences: [ownerOf(account)],
    },
    spec: {
      serviceAccountName: name,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      restartPolicy: "Never",
      activeDeadlineSeconds: DEADLINE_SECONDS,
      terminationGracePeriodSeconds: GRACE_SECONDS,
      securityContext: POD_SECURITY,
      ...placementOf(template),
      initContainers: [vaultAgent(settings)],
      containers: [verifyContainer(template, settings)],
      volumes: [configVolume(), ...vaultVolumes()],
    },
  };
}

/** `--cascade=orphan` takes a pod's owner away and leaves its labels. Names of accounts are not used twice. */
export function isVerifyPodOf(
  { name, uid }: Pick<AccountView, "name" | "uid">,
  { role, accountName, ownerUid = uid }: PodView,
): boolean {
  return role === "verify" && accountName === name && ownerUid === uid;
}

function verifyConfig({ namespace, name, spec }: AccountView, botClass: ClassView): VerifyConfig {
  return {
    namespace,
    userId: spec.userId,
    accountName: name,
    exchange: spec.exchange,
    mode: spec.testnet ? "testnet" : "live",
    endpoint: endpointOf(botClass.rollout.stable, spec.exchange),
  };
}

function verifyContainer({ image, resources }: PodTemplate, settings: PodSettings) {
  return {
    name: "verify",
    image,
    imagePullPolicy: settings.imagePullPolicy,
    args: ["/app/verify.mjs"],
    resources,
    securityContext: CONTAINER_SECURITY,
    terminationMessagePath: POD_PATHS.terminationMessage,
    volumeMounts: [CONFIG_MOUNT, CREDENTIALS_MOUNT],
  };
}
