import { ANNOTATIONS, LABELS, PAPER_PROCESS, POD_PATHS } from "@tradingbots/crds";
import type { HashedTemplate } from "../class/pod-template.ts";
import type { ClassView } from "../class-view.ts";
import type { PodSettings } from "../config.ts";
import {
  CONFIG_MOUNT,
  configVolume,
  CONTAINER_SECURITY,
  CREDENTIALS_MOUNT,
  fieldVariable,
  JOURNAL_TOKEN_MOUNT,
  journalTokenVolume,
  placementOf,
  POD_SECURITY,
  podLabels,
  vaultAgent,
  vaultVolumes,
} from "../pod-parts.ts";
import { hashOf, INPUTS_ANNOTATION, POSITION_OPEN, UNWELL_BEFORE_ANNOTATION } from "../pod-view.ts";
import type { BotView } from "./bot-view.ts";
import type { ToldConfig } from "./config.ts";
import { ownerOf, serviceAccountName } from "./service-account.ts";

const HEALTH_PORT = 8080;
/** Long enough to settle an order that is on its way; the exchange holds the stops meanwhile. */
const GRACE_SECONDS = 30;
/** Kubernetes waits five minutes for a machine that is out of reach; that long nobody would watch over a position but its stop. */
const DEAD_MACHINE_SECONDS = 60;

export interface PodInputs {
  readonly bot: BotView;
  /** What its class's rollout gives it. */
  readonly template: HashedTemplate;
  /** The class that judges its image; the bot's own, unless another stands in for that. */
  readonly className?: string;
  /** Version of the account's key; undefined for a paper bot. */
  readonly credentialsVersion: number | undefined;
  /** The bot may hold a position from a pod before: the PodDisruptionBudget covers the pod from its first moment. */
  readonly isGuarded?: boolean;
  /** The bot failed with another template already. */
  readonly wasUnwell?: boolean;
}

/**
 * What a pod cannot be changed in while it runs: its template, which a rollout replaces in waves, and after the dot its account
 * and key, of which another hash replaces the pod at once. The rest of the pod is the operator's own affair and must not be in
 * here, or a new release of the operator would replace every pod.
 */
export function podInputsHash({ bot, template, credentialsVersion }: PodInputs): string {
  const identity = hashOf(JSON.stringify([serviceAccountName(bot), credentialsVersion ?? null]));
  return `${template.hash}.${identity}`;
}

/** Whether the pod runs with another account or key than these. */
export function hasOtherIdentity(inputsHash: string | undefined, inputs: PodInputs): boolean {
  return inputsHash?.split(".")[1] !== podInputsHash(inputs).split(".")[1];
}

/**
 * What a pod is made from where another class stands in for the bot's own: with the other's image, which is the platform's as well. The
 * hash stays, or the rollout of the bot's own class would replace the pod for another like it.
 */
export function podTemplate(own: HashedTemplate, standIn: ClassView | undefined): HashedTemplate {
  return standIn === undefined ? own : { ...own, image: standIn.rollout.stable.image };
}

/** The one pod of a bot. Its name is the bot's, so the API server itself refuses a second one. */
export function botPod(inputs: PodInputs, config: ToldConfig, settings: PodSettings) {
  const { bot, template, credentialsVersion } = inputs;
  const hasKey = credentialsVersion !== undefined;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      namespace: bot.namespace,
      name: bot.name,
      labels: podLabels({
        [LABELS.component]: "bot",
        [LABELS.role]: "bot",
        [LABELS.user]: bot.spec.userId,
        [LABELS.bot]: bot.name,
        [LABELS.class]: inputs.className ?? bot.spec.className,
        [LABELS.account]: bot.spec.accountName,
        [LABELS.position]: inputs.isGuarded === true ? POSITION_OPEN : undefined,
      }),
      annotations: {
        [ANNOTATIONS.config]: JSON.stringify(config),
        [INPUTS_ANNOTATION]: podInputsHash(inputs),
        ...(inputs.wasUnwell === true ? { [UNWELL_BEFORE_ANNOTATION]: "true" } : {}),
        ...(hasKey ? { [ANNOTATIONS.credentialsVersion]: String(credentialsVersion) } : {}),
      },
      ownerReferences: [ownerOf(bot)],
    },
    spec: {
      serviceAccountName: serviceAccountName(bot),
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      restartPolicy: "OnFailure",
      terminationGracePeriodSeconds: GRACE_SECONDS,
      tolerations: ["not-ready", "unreachable"].map((trouble) => ({
        key: `node.kubernetes.io/${trouble}`,
        operator: "Exists",
        effect: "NoExecute",
        tolerationSeconds: DEAD_MACHINE_SECONDS,
      })),
      securityContext: POD_SECURITY,
      ...placementOf(template),
      ...(hasKey ? { initContainers: [vaultAgent(settings)] } : {}),
      containers: [botContainer(template, { hasKey, settings })],
      volumes: [configVolume(), journalTokenVolume(), ...(hasKey ? vaultVolumes() : [])],
    },
  };
}

function botContainer(
  { image, resources }: HashedTemplate,
  { hasKey, settings }: { readonly hasKey: boolean; readonly settings: PodSettings },
) {
  return {
    name: "bot",
    image,
    imagePullPolicy: settings.imagePullPolicy,
    args: [...(hasKey ? [] : PAPER_PROCESS.flags), "/app/bot.mjs"],
    env: [
      { name: "JOURNAL_URL", value: settings.journalUrl },
      fieldVariable("POD_UID", "metadata.uid"),
      fieldVariable("POD_NAME", "metadata.name"),
      fieldVariable("POD_NAMESPACE", "metadata.namespace"),
      { name: "HEALTH_PORT", value: String(HEALTH_PORT) },
      ...(hasKey ? [] : PAPER_PROCESS.environment),
    ],
    ports: [{ name: "health", containerPort: HEALTH_PORT }],
    readinessProbe: { httpGet: { path: "/readyz", port: "health" }, periodSeconds: 1 },
    livenessProbe: {
      httpGet: { path: "/healthz", port: "health" },
      periodSeconds: 10,
      failureThreshold: 6,
    },
    resources,
    securityContext: CONTAINER_SECURITY,
    terminationMessagePath: POD_PATHS.terminationMessage,
    volumeMounts: [CONFIG_MOUNT, JOURNAL_TOKEN_MOUNT, ...(hasKey ? [CREDENTIALS_MOUNT] : [])],
  };
}
