import { conditionOf, type Fact, fact } from "../conditions.ts";
import type { HaltView } from "../halt/halt-view.ts";
import { coversAll } from "../halt/scope.ts";
import type { PodView } from "../pod-view.ts";
import type { BotFacts } from "./facts.ts";
import { lastingBlocks } from "./blocks.ts";
import { isFinal } from "./flatness.ts";
import { FOREIGN_POD, isForeign } from "./foreign-pod.ts";
import { refusedKeyOfPod } from "./key-refusal.ts";
import { isLost, nodeLost } from "./lost-pod.ts";
import { type BotPlan, wantsPod } from "./plan.ts";
import { positionUnknownBecause } from "./position-unknown.ts";
import { restartBecause } from "./restart.ts";
import { withStops } from "./stops.ts";

interface Why {
  readonly reason: string;
  readonly message: string;
}

/** The summary: True when the bot does what its user switched on, else False with the one thing that explains it best. */
export function readyFact(facts: BotFacts, plan: BotPlan): Fact {
  const why = notReadyBecause(facts, plan);
  return why === undefined
    ? fact("Ready", "True", hinderedBecause(facts) ?? RUNNING)
    : fact("Ready", "False", why);
}

const RUNNING: Why = { reason: "Running", message: "The bot is running." };

/**
 * Its process does all that it can, and its user has to change something before it can do all that it shall. While the journal cannot be
 * heard, what was recorded stays: it does not pass by itself.
 */
function hinderedBecause({ bot, pod, report }: BotFacts): Why | undefined {
  if (report.kind === "unheard") {
    const recorded = conditionOf(bot.status.conditions, "Ready");
    return recorded?.reason === HINDERED ? recorded : undefined;
  }
  const isOwn = report.kind === "fresh" && report.latest.podUid === pod?.uid;
  const lasting = isOwn ? lastingBlocks(report.latest.report) : [];
  if (lasting.length === 0) return undefined;
  const causes = lasting.map(({ message }) => message).join("; ");
  return { reason: HINDERED, message: `The bot is running, but does not trade all: ${causes}.` };
}

const HINDERED = "Hindered";

/** These reasons belong to an ordinary life; all others are worth an Event. */
const ORDINARY = new Set([
  "Starting",
  "Replacing",
  "Stopping",
  "Stopped",
  "Pausing",
  "Paused",
  "Retiring",
  "CredentialsUnverified",
  "StartQueued",
  // A drained machine holds a hundred bots, and each is back within seconds.
  "Evicted",
  "Preempted",
  "Halted", // one switch, not one Event a bot: the halt's own status counts them
  "Running",
]);

export function isWorthAnEvent(reason: string): boolean {
  return !ORDINARY.has(reason);
}

function notReadyBecause(facts: BotFacts, plan: BotPlan): Why | undefined {
  if (isForeign(facts)) return FOREIGN_POD;
  if (facts.refusal !== undefined && facts.pod === undefined && wantsPod(plan)) {
    return facts.refusal;
  }
  const { intended, denial } = plan;
  if (intended !== "Running") return endingBecause(facts, plan);
  if (denial !== undefined) return denial;
  if (plan.write === "create-pod" || facts.pod === undefined) return STARTING;
  // A bot whose key is refused never becomes ready either: "starting" would be true and useless.
  return refusedKeyOfPod(facts) ?? podBecause(facts.pod, facts, plan) ?? haltBecause(facts);
}

/** Halts that leave the bot no symbol to trade. */
function haltBecause({ bot, halts }: BotFacts): Why | undefined {
  const covering = halts.filter((halt) => coversAll(halt, bot));
  return covering.length === 0 ? undefined : { reason: "Halted", message: haltMessage(covering) };
}

/** What halts do to a bot, as a sentence; the strongest says it. */
export function haltMessage(halts: readonly HaltView[]): string {
  const named = halts.map(({ name, spec: { reason } }) => `${name} (${reason})`).join(", ");
  const actions = new Set(halts.map(({ spec: { action } }) => action));
  if (actions.has("Flatten")) return `Positions are closed and none is opened: ${named}.`;
  if (actions.has("CancelOrders")) {
    return `Entry orders are cancelled and no position is opened: ${named}.`;
  }
  return `No positions are opened: ${named}.`;
}

/** The pause is a halt's and not its user's. */
function pausedBecause({ bot, halts }: BotFacts): Why | undefined {
  const pausing = halts.filter(({ uid }) => bot.pausedByHalts.includes(uid));
  if (pausing.length === 0) return undefined;
  const message = `The bot was paused. ${haltMessage(pausing)} Once the halt is lifted, start the bot again.`;
  return { reason: "Halted", message };
}

const STARTING: Why = { reason: "Starting", message: "The bot is starting." };

function podBecause(pod: PodView, facts: BotFacts, { write }: BotPlan): Why | undefined {
  if (pod.isDeleting && isLost(pod, facts.now)) return nodeLost(pod);
  // A pod that ends because it is deleted has not ended by itself.
  if (pod.end !== undefined && !pod.isDeleting) return restartBecause(pod, facts.restarts);
  if (pod.isDeleting && pod.disruption !== undefined) return movingBecause(pod.disruption, pod);
  if (pod.isDeleting || write === "delete-pod") {
    return { reason: "Replacing", message: "The pod is being replaced by a new one." };
  }
  return pod.isReady ? undefined : unreadyBecause(pod, facts);
}

function movingBecause({ reason, message }: Why, { mode }: PodView): Why {
  return { reason, message: withStops(`${message} The bot starts again elsewhere.`, mode) };
}

/** Of a pod that runs, or shall. One that was ready before is not starting. */
export function unreadyBecause({ trouble, mode }: PodView, { bot }: Pick<BotFacts, "bot">): Why {
  if (trouble !== undefined) return trouble;
  const before = conditionOf(bot.status.conditions, "PodReady");
  const wasReady = before?.status === "True" || before?.reason === UNRESPONSIVE;
  if (!wasReady) return STARTING;
  const message = "The bot does not answer its health check, or its machine is out of reach.";
  return { reason: UNRESPONSIVE, message: withStops(message, mode) };
}

const UNRESPONSIVE = "Unresponsive";

/** Paused, Stopped and Retired: where the bot stands on its way, or what keeps it. */
function endingBecause(facts: BotFacts, plan: BotPlan): Why {
  const { intended, flatness } = plan;
  const paused = intended === "Paused" ? pausedBecause(facts) : undefined;
  if (paused !== undefined) return paused;
  const words = ENDINGS[intended === "Running" ? "Paused" : intended];
  if (isFinal(flatness)) {
    const hasPod = facts.pod !== undefined;
    return hasPod ? words.ending : words.ended;
  }
  const unknown = positionUnknownBecause(facts, plan);
  if (unknown !== undefined) {
    const message = `${words.ending.message} What is open cannot be found out: ${unknown.message} The condition PositionUnknown says what to do.`;
    return { reason: unknown.reason, message };
  }
  const obstacle = obstacleOf(facts, plan);
  if (obstacle === undefined) return words.ending;
  return { reason: obstacle.reason, message: `${words.ending.message} ${obstacle.message}` };
}

/** What delays the end and passes by itself. */
function obstacleOf({ pod, restarts, now }: BotFacts, { write }: BotPlan): Why | undefined {
  if (pod === undefined) return undefined;
  if (pod.isDeleting) return isLost(pod, now) ? nodeLost(pod) : pod.disruption;
  return pod.end !== undefined && write === undefined ? restartBecause(pod, restarts) : undefined;
}

const ENDINGS = {
  Paused: {
    ending: {
      reason: "Pausing",
      message: "Nothing new is opened; open positions run to their exit.",
    },
    ended: { reason: "Paused", message: "The bot is paused and nothing is open." },
  },
  Stopped: {
    ending: { reason: "Stopping", message: "The bot is closing its positions." },
    ended: { reason: "Stopped", message: "The bot is stopped and nothing is open." },
  },
  Retired: {
    ending: {
      reason: "Retiring",
      message: "The bot is closing its positions; it is deleted once nothing is open.",
    },
    ended: { reason: "Retiring", message: "Nothing is open; the bot is being deleted." },
  },
} as const;
