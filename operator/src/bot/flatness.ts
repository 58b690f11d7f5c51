import { BotTermination } from "@tradingbots/crds";
import { conditionOf } from "../conditions.ts";
import type { PodView } from "../pod-view.ts";
import type { BotReport } from "../reports.ts";
import type { BotFacts } from "./facts.ts";
import { PAPER_ENDED } from "./play-money.ts";

/** Whether the bot holds a position or order, and how that is known. */
export interface Flatness {
  readonly status: "True" | "False" | "Unknown";
  readonly reason:
    | "NeverStarted"
    | "Closed"
    | "Abandoned"
    | "PaperEnded"
    | "NothingOpen"
    | "PositionOpen"
    | "Starting"
    | "NotReported";
  readonly message: string;
}

/** A report that says so this long ago was the bot's last word: by then it should have ended by itself. */
export const ENDS_ITSELF_MS = 10_000;

const NEVER_STARTED: Flatness = {
  status: "True",
  reason: "NeverStarted",
  message: "The bot has never run.",
};
const CLOSED: Flatness = {
  status: "True",
  reason: "Closed",
  message: "The bot has closed everything and ended.",
};
const ABANDONED: Flatness = {
  status: "True",
  reason: "Abandoned",
  message:
    "Whether something is open could not be found out, and its owner gave it up: what is open at the exchange is the owner's to close.",
};
export const STARTING: Flatness = {
  status: "Unknown",
  reason: "Starting",
  message: "The bot is starting and has not reported yet.",
};
const NOTHING_OPEN: Flatness = {
  status: "True",
  reason: "NothingOpen",
  message: "No position and no order is open.",
};
const POSITION_OPEN: Flatness = {
  status: "False",
  reason: "PositionOpen",
  message: "A position or an order of the bot is open.",
};
const NOT_REPORTED: Flatness = {
  status: "Unknown",
  reason: "NotReported",
  message: "No fresh report of the bot says that nothing is open.",
};

/** Only this may end a pod or an object: nothing is open, and nothing can be opened any more; or its owner has given it up. */
export function isFinal(flatness: Flatness): boolean {
  return isFinalReason(flatness.reason);
}

const FINAL: ReadonlySet<string> = new Set<Flatness["reason"]>([
  "NeverStarted",
  "Closed",
  "Abandoned",
  "PaperEnded",
]);

/** The same of a recorded condition. */
export function isFinalReason(reason: string): boolean {
  return FINAL.has(reason);
}

/**
 * What is certain about open positions and orders. What `isFinal` names is so until another pod is made, which is why `Starting` is recorded *before* a pod is created: without that, a pod that came, traded and was deleted unseen would
 * leave the old answer standing.
 */
export function flatnessOf(
  facts: Pick<BotFacts, "bot" | "pod" | "report" | "refusal" | "clockMs">,
) {
  if (isAbandoned(facts.bot)) return ABANDONED;
  return facts.pod === undefined ? flatnessWithoutPod(facts) : flatnessOfPod(facts.pod, facts);
}

/**
 * The same for whoever would take the pod from a position. While the journal cannot be heard, the status keeps `NothingOpen`, or a
 * hundred thousand of them would be written; but the bot may have opened something since.
 */
export function provenFlatness(facts: Parameters<typeof flatnessOf>[0]): Flatness {
  const flatness = flatnessOf(facts);
  const isOld = facts.report.kind === "unheard" && flatness.reason === NOTHING_OPEN.reason;
  return isOld ? NOT_REPORTED : flatness;
}

type Seen = Pick<BotFacts, "bot" | "report" | "refusal" | "clockMs">;

function flatnessWithoutPod({ bot, report, refusal }: Seen): Flatness {
  if (refusal !== undefined && isFinal(refusal.flatBefore)) return refusal.flatBefore;
  const recorded = conditionOf(bot.status.conditions, "Flat");
  const latest = "latest" in report ? report.latest : undefined;
  const hasNeverStarted = recorded === undefined || recorded.reason === "NeverStarted";
  if (hasNeverStarted && latest === undefined) return NEVER_STARTED;
  if (recorded?.reason === "Closed") return CLOSED;
  if (recorded?.reason === "Abandoned") return ABANDONED;
  if (recorded?.reason === PAPER_ENDED.reason) return PAPER_ENDED;
  // The age of such a report does not matter: what obeys this generation opens nothing.
  if (latest !== undefined && isLastWord(bot, latest)) return CLOSED;
  return NOT_REPORTED;
}

function flatnessOfPod(pod: PodView, { bot, report, clockMs }: Seen): Flatness {
  if (pod.end !== undefined) return endedFlat(pod.end.message) ? CLOSED : NOT_REPORTED;
  if (report.kind === "unheard") return lastKnown(bot);
  const latest = "latest" in report ? report.latest : undefined;
  if (latest === undefined || latest.podUid !== pod.uid || !hasSession(latest)) return STARTING;
  if (!latest.report.flat) return POSITION_OPEN;
  if (report.kind !== "fresh") return NOT_REPORTED;
  const saidMsAgo = clockMs - latest.saidAtMs;
  if (isLastWord(bot, latest) && saidMsAgo >= ENDS_ITSELF_MS) return CLOSED;
  return NOTHING_OPEN;
}

/** Its owner has given up this very position: what was confirmed about an earlier one does not count. */
export function isAbandoned({ spec, status }: BotFacts["bot"]): boolean {
  const unknown = conditionOf(status.conditions, "PositionUnknown");
  if (spec.abandonPosition === undefined || unknown?.status !== "True") return false;
  return Date.parse(spec.abandonPosition) === Date.parse(unknown.lastTransitionTime);
}

/** While the journal cannot be heard, what was recorded stays, except that nothing final is concluded from it. */
function lastKnown({ status }: BotFacts["bot"]): Flatness {
  const recorded = conditionOf(status.conditions, "Flat")?.reason;
  return (
    [NOTHING_OPEN, POSITION_OPEN, STARTING].find(({ reason }) => reason === recorded) ??
    NOT_REPORTED
  );
}

/** Flat, and told by this very specification to open nothing. */
export function isLastWord({ spec, generation }: BotFacts["bot"], latest: BotReport): boolean {
  const { report } = latest;
  const opensNothing = spec.state !== "Running" && report.state !== "Running";
  return hasSession(latest) && report.flat && opensNothing && report.generation >= generation;
}

/** Without a session a bot does not know which orders are its own: what it calls flat is ignorance. */
function hasSession({ epoch }: { readonly epoch: number }): boolean {
  return epoch >= 1;
}

function endedFlat(message: string | undefined): boolean {
  try {
    const termination = BotTermination.parse(JSON.parse(message ?? ""));
    return termination.flat && hasSession(termination);
  } catch {
    return false;
  }
}
