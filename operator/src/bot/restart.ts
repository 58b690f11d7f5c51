import { secondsOf } from "../conditions.ts";
import type { PodView } from "../pod-view.ts";
import type { BotFacts } from "./facts.ts";
import { withStops } from "./stops.ts";

/**
 * A pod that ended although it should run is made anew after a pause that doubles with each such end, so that a fault can neither
 * spin nor cost a bot more than five minutes once it is mended. A process that fails inside its pod is the kubelet's to restart, with
 * pauses of its own (CrashLooping).
 */
const PAUSE_MIN_MS = 10_000;
const PAUSE_MAX_MS = 300_000;
/** A pod that lived this long had come up well: its end begins a new count, as a kubelet does it. */
const STEADY_MS = 600_000;
/** From so many ends on it is a loop and no hiccup. */
const LOOP_RESTARTS = 2;

/** Ends of a bot's pods, up to and with that of one pod. */
export interface Restarts {
  readonly podUid: string;
  readonly count: number;
}

/** The ends before that of this pod, of which it may have been told already. */
export function restartsBefore(known: Restarts | undefined, podUid: string | undefined): number {
  if (known === undefined) return 0;
  return known.podUid === podUid ? known.count - 1 : known.count;
}

/** How often the bot has ended unasked, counting the end of this pod. */
export function restartsWith(pod: PodView, restarts: number): number {
  return endedAtMs(pod) - Date.parse(pod.createdAt) >= STEADY_MS ? 1 : restarts + 1;
}

/** Until the next pod is made; not above 0 when it is time. */
export function untilRestartMs(pod: PodView, facts: Pick<BotFacts, "restarts" | "now">): number {
  return restartAtMs(pod, facts.restarts) - facts.now.getTime();
}

/** The pause with its reason. */
export function restartBecause(
  pod: PodView,
  restarts: number,
): { readonly reason: string; readonly message: string } {
  const how = `exit code ${pod.end?.exitCode ?? "unknown"}`;
  const at = secondsOf(new Date(restartAtMs(pod, restarts)));
  const isLoop = restartsWith(pod, restarts) >= LOOP_RESTARTS;
  const what = pod.disruption
    ? `${pod.disruption.message} The bot starts elsewhere at ${at}.`
    : `The pod ended${isLoop ? " again and again" : ""} (${pod.end?.podReason ?? how}); the next one is made at ${at}.`;
  return {
    reason: pod.disruption?.reason ?? (isLoop ? "CrashLooping" : "Restarting"),
    message: withStops(what, pod.mode),
  };
}

function restartAtMs(pod: PodView, restarts: number): number {
  const pauseMs = Math.min(PAUSE_MIN_MS * 2 ** (restartsWith(pod, restarts) - 1), PAUSE_MAX_MS);
  return endedAtMs(pod) + pauseMs;
}

function endedAtMs({ end }: PodView): number {
  return Date.parse(end?.finishedAt ?? "");
}
