import type { BotState } from "@tradingbots/crds";
import { currentVerification } from "../account/account-view.ts";
import { replacementDueInMs, turnOf } from "../class/turn.ts";
import { pausingHalts } from "../halt/progress.ts";
import { untilFirstExpiry } from "../halt/scope.ts";
import { hashOf, type PodView } from "../pod-view.ts";
import { admit, type Denial } from "./admission.ts";
import { botConfig, hasMoved, type ToldConfig } from "./config.ts";
import { isDeferring, untilMoveMs, wantsGuard } from "./drain.ts";
import type { BotFacts } from "./facts.ts";
import { untilRecoveredMs } from "./failed-before.ts";
import { finalStep } from "./finalize.ts";
import {
  ENDS_ITSELF_MS,
  type Flatness,
  flatnessOf,
  isFinal,
  isLastWord,
  provenFlatness,
} from "./flatness.ts";
import { isForeign } from "./foreign-pod.ts";
import { deletingPodStep } from "./lost-pod.ts";
import { hasEndedOnPaper, PAPER_ENDED } from "./play-money.ts";
import { hasOtherIdentity } from "./pod.ts";
import { restartsWith, untilRestartMs } from "./restart.ts";

/** The one thing that is done next. */
export type BotWrite =
  | "add-finalizer"
  | "pause-after-halt"
  | "create-service-account"
  | "create-pod"
  | "update-config"
  | "guard-pod"
  | "forget-failure"
  | "delete-pod"
  | "release-lost-pod"
  | "delete-bot"
  | "remove-finalizer";

export interface Step {
  readonly write?: BotWrite | undefined;
  readonly requeueAfterMs?: number | undefined;
}

export interface BotPlan extends Step {
  /** What the specification, a deletion or the account's end asks for. */
  readonly intended: BotState;
  /** What the bot is told: less than intended while something is against trading. */
  readonly told: BotState;
  readonly denial: Denial | undefined;
  readonly flatness: Flatness;
  /** The pod is, or shall be, covered by the PodDisruptionBudget. */
  readonly isGuarded: boolean;
  readonly config: ToldConfig;
  /** Version of the key that a pod is, or would be, started with; undefined for a paper bot. */
  readonly credentialsVersion: number | undefined;
}

/** Reason of a pause that ends in another pod. */
export const RESTART_NEEDED = "RestartNeeded";
/** A pod that is somebody else's is looked at again. */
const FOREIGN_RETRY_MS = 30_000;
/** What a bot says when it is heard again may be nothing new, which wakes nobody. */
const UNHEARD_LOOK_MS = 10_000;

/** Decides from facts alone. The same facts always give the same plan. */
export function planBot(facts: BotFacts): BotPlan {
  const intended = intendedState(facts);
  const denial = admit(facts) ?? restartNeeded(facts);
  const told = intended === "Running" && denial?.pausesPod === true ? "Paused" : intended;
  const isOver = hasEndedOnPaper(facts, intended);
  const flatness = isOver ? PAPER_ENDED : flatnessOf(facts);
  const decided = {
    intended,
    told,
    denial,
    flatness,
    isGuarded: wantsGuard(facts, flatness),
    config: botConfig(facts, told),
    credentialsVersion: credentialsVersionOf(facts),
  };
  const step = nextStep(facts, decided);
  const moveMs = isDeferring(facts, flatness) ? untilMoveMs(facts) : undefined;
  const expiryMs = untilFirstExpiry(facts.halts, facts.now);
  return { ...decided, ...step, requeueAfterMs: soonest(step.requeueAfterMs, moveMs, expiryMs) };
}

function soonest(...wakeUps: readonly (number | undefined)[]): number | undefined {
  const delays = wakeUps.filter((delay) => delay !== undefined);
  return delays.length === 0 ? undefined : Math.min(...delays);
}

/** Paused, the old pod ends by itself once nothing of it is open; the next one is started for the new place. */
function restartNeeded(facts: BotFacts): Denial | undefined {
  if (!hasMoved(facts)) return undefined;
  return {
    reason: RESTART_NEEDED,
    message:
      "Mode or address of the exchange has changed: the bot starts anew when nothing is open.",
    forbidsPod: false,
    pausesPod: true,
  };
}

type Decided = Omit<BotPlan, keyof Step>;

/** A deletion and the end of the account are ends of the bot. */
function intendedState({ bot, account }: BotFacts): BotState {
  return bot.isDeleting || account?.isRetired === true ? "Retired" : bot.spec.state;
}

/** A new version counts once it is verified; until then a running pod keeps the one it has. */
function credentialsVersionOf({ account, pod }: BotFacts): number | undefined {
  if (account === undefined) return undefined;
  const { credentialsVersion } = account.spec;
  const isVerified = currentVerification(account)?.state === "verified";
  return isVerified ? credentialsVersion : (pod?.credentialsVersion ?? credentialsVersion);
}

function nextStep(facts: BotFacts, decided: Decided): Step {
  const { bot, pod } = facts;
  if (isForeign(facts)) return { requeueAfterMs: FOREIGN_RETRY_MS };
  if (!bot.hasFinalizer) return bot.isDeleting ? {} : { write: "add-finalizer" };
  if (decided.intended === "Retired" && isFinal(decided.flatness)) return finalStep(facts);
  if (decided.intended === "Running" && pausingHalts(facts).length > 0) {
    return { write: "pause-after-halt" };
  }
  return pod === undefined ? stepWithoutPod(facts, decided) : stepWithPod(pod, facts, decided);
}

function stepWithPod(pod: PodView, facts: BotFacts, decided: Decided): Step {
  if (pod.isDeleting) return deletingPodStep(facts);
  if (pod.end !== undefined) return afterEnd(pod, facts, decided);
  if (isFinal(decided.flatness)) return { write: "delete-pod" };
  const replaceInMs = untilReplacement(pod, facts, decided);
  if (replaceInMs === 0) return { write: "delete-pod" };
  if (pod.configHash !== hashOf(JSON.stringify(decided.config))) return { write: "update-config" };
  if (pod.isGuarded !== decided.isGuarded) return { write: "guard-pod" };
  const { report, bot } = facts;
  const willEnd = report.kind === "fresh" && isLastWord(bot, report.latest);
  if (willEnd) return { requeueAfterMs: ENDS_ITSELF_MS };
  const recoveredInMs = untilRecoveredMs(pod, facts.now);
  if (recoveredInMs === 0) return { write: "forget-failure" };
  return { requeueAfterMs: soonest(replaceInMs, recoveredInMs) };
}

function afterEnd(pod: PodView, facts: BotFacts, decided: Decided): Step {
  const pauseMs = nextWaits(pod, facts, decided) ? untilRestartMs(pod, facts) : 0;
  return pauseMs > 0 ? { requeueAfterMs: pauseMs } : { write: "delete-pod" };
}

/** After an end that nobody asked for the next pod waits, or a fault could spin. */
function nextWaits(pod: PodView, facts: BotFacts, { told, flatness }: Decided): boolean {
  if (told === "Running") return pod.toldState === "Running";
  if (isFinal(flatness)) return false;
  // A first failure is mostly its machine's, and what may be open needs somebody.
  return pod.end?.succeeded === true || restartsWith(pod, facts.restarts) > 1;
}

/**
 * When the pod gives way to another one, in milliseconds; undefined: not as things are. Only when another may follow: a pod with
 * an open position is not given up for nothing.
 */
function untilReplacement(pod: PodView, facts: BotFacts, decided: Decided): number | undefined {
  const { bot, botClass, now } = facts;
  const { denial, intended, credentialsVersion } = decided;
  // Another pod would not find what this one has open.
  if (botClass === undefined || hasMoved(facts)) return undefined;
  if (denial !== undefined && (intended === "Running" || denial.forbidsPod)) return undefined;
  const turn = turnOf(botClass, bot.uid);
  const inputs = { bot, template: turn.template, credentialsVersion };
  if (hasOtherIdentity(pod.inputsHash, inputs)) return 0;
  const dueInMs = replacementDueInMs({ pod, bot, turn, flatness: provenFlatness(facts), now });
  const isUnheard = dueInMs !== undefined && facts.report.kind === "unheard";
  return isUnheard ? Math.min(dueInMs, UNHEARD_LOOK_MS) : dueInMs;
}

function stepWithoutPod(facts: BotFacts, decided: Decided): Step {
  if (!wantsPod(decided)) return {};
  if (facts.hasServiceAccount) return { write: "create-pod" };
  // An account's service account is made with the account.
  return facts.bot.accountKey === undefined ? { write: "create-service-account" } : {};
}

/** To trade; or, in any other state, to manage or close what may still be open: only the bot itself does that. */
export function wantsPod({ told, denial, flatness }: Decided): boolean {
  if (told === "Running") return denial === undefined;
  return !isFinal(flatness) && denial?.forbidsPod !== true;
}
