import type { Mode } from "@tradingbots/crds";
import type { Pod } from "@tradingbots/kube";
import { withStops } from "./bot/stops.ts";
import { AGENT_CONTAINER } from "./pod-parts.ts";

/** Why a pod does not become ready, in words for its user. They stay the same while the trouble does: no counts, no times. */
export interface PodTrouble {
  readonly reason:
    | "Unschedulable"
    | "ImagePullFailed"
    | "CredentialsUnavailable"
    | "ContainerRefused"
    | "CrashLooping";
  readonly message: string;
}

type ContainerStatus = NonNullable<NonNullable<Pod["status"]>["containerStatuses"]>[number];

const IMAGE_REASONS = new Set([
  "ImagePullBackOff",
  "ErrImagePull",
  "InvalidImageName",
  "ErrImageNeverPull",
]);
const REFUSED_REASONS = new Set([
  "CreateContainerConfigError",
  "CreateContainerError",
  "RunContainerError",
]);
/** One restart can be a hiccup; the second in the same pod is a loop. */
const LOOP_RESTARTS = 2;

/** @param mode how the bot in it trades; undefined for a pod that trades nothing, or says nothing of it */
export function podTrouble(pod: Pod, mode: Mode | undefined): PodTrouble | undefined {
  const { status } = pod;
  if (status === undefined || status.phase === "Succeeded") return undefined;
  const agent = status.initContainerStatuses?.find(({ name }) => name === AGENT_CONTAINER);
  const main = status.containerStatuses?.[0];
  return (
    unschedulable(status.conditions) ??
    containerTrouble(agent) ??
    agentTrouble(agent) ??
    containerTrouble(main) ??
    crashLoop(main, mode)
  );
}

function unschedulable(
  conditions: NonNullable<Pod["status"]>["conditions"],
): PodTrouble | undefined {
  const scheduled = conditions?.find(({ type }) => type === "PodScheduled");
  if (scheduled?.status !== "False" || scheduled.reason !== "Unschedulable") return undefined;
  return {
    reason: "Unschedulable",
    message: "No machine has room for the pod at present. It starts as soon as there is room.",
  };
}

function containerTrouble(container: ContainerStatus | undefined): PodTrouble | undefined {
  const waiting = container?.state?.waiting?.reason;
  if (waiting === undefined || container === undefined) return undefined;
  if (IMAGE_REASONS.has(waiting)) {
    return {
      reason: "ImagePullFailed",
      message: `The image ${container.image} cannot be pulled; it is tried again and again.`,
    };
  }
  if (!REFUSED_REASONS.has(waiting)) return undefined;
  const detail = container.state?.waiting?.message ?? waiting;
  return {
    reason: "ContainerRefused",
    message: `The node cannot start the container ${container.name}: ${detail}`,
  };
}

function agentTrouble(agent: ContainerStatus | undefined): PodTrouble | undefined {
  const failed = (agent?.state?.terminated?.exitCode ?? 0) !== 0;
  const failedBefore = (agent?.restartCount ?? 0) > 0 && agent?.state?.terminated === undefined;
  if (!failed && !failedBefore) return undefined;
  return {
    reason: "CredentialsUnavailable",
    message:
      "The key could not be fetched from Vault: Vault is unreachable or sealed, or refuses this account. It is tried again.",
  };
}

function crashLoop(
  main: ContainerStatus | undefined,
  mode: Mode | undefined,
): PodTrouble | undefined {
  if (main === undefined || main.ready) return undefined;
  const waitsToRestart = main.state?.waiting?.reason === "CrashLoopBackOff";
  if (!waitsToRestart && main.restartCount < LOOP_RESTARTS) return undefined;
  const last = main.lastState?.terminated ?? main.state?.terminated;
  const how =
    last?.reason === "OOMKilled"
      ? "it used more memory than its class allows"
      : `exit code ${last?.exitCode ?? "unknown"}`;
  const message = `The process ends again and again (${how}); it is restarted with growing pauses.`;
  return { reason: "CrashLooping", message: withStops(message, mode) };
}
