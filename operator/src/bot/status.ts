import type { Condition, Report } from "@tradingbots/crds";
import { currentVerification } from "../account/account-view.ts";
import { turnOf } from "../class/turn.ts";
import { conditionOf, type Fact, fact, withTransitions } from "../conditions.ts";
import type { BotStatus } from "./bot-view.ts";
import type { BotFacts } from "./facts.ts";
import { lastingBlocks } from "./blocks.ts";
import { deferredFact } from "./deferral.ts";
import { drainingFact } from "./drain.ts";
import { FAILED_BEFORE, failedBefore } from "./failed-before.ts";
import { STARTING } from "./flatness.ts";
import { isForeign } from "./foreign-pod.ts";
import { refusedKeyOfPod } from "./key-refusal.ts";
import { isLost, nodeLost } from "./lost-pod.ts";
import type { BotPlan } from "./plan.ts";
import { podTemplate } from "./pod.ts";
import { positionUnknownFact } from "./position-unknown.ts";
import { haltMessage, readyFact, unreadyBecause } from "./ready.ts";
import { requestsOf, summaryOf } from "./summary.ts";

/** What the bot's status shall say, as though the plan's write had succeeded: it is written first. */
export function botStatus(facts: BotFacts, plan: BotPlan): BotStatus {
  const { bot, now } = facts;
  const conditions = conditionFacts(facts, plan);
  const podName = hasPod(facts, plan) ? bot.name : undefined;
  const image = podName === undefined ? undefined : imageOf(facts, plan);
  const summary = summaryOf(facts);
  const requests = requestsOf(facts);
  return {
    observedGeneration: bot.generation,
    conditions: withTransitions(conditions, bot.status.conditions, now),
    ...(podName === undefined ? {} : { podName, replicas: 1 }),
    ...(image === undefined ? {} : { image }),
    ...(summary === undefined ? {} : { summary }),
    ...(requests === undefined ? {} : { requests }),
  };
}

function hasPod(facts: BotFacts, { write }: BotPlan): boolean {
  if (write === "create-pod") return true;
  return facts.pod !== undefined && !isForeign(facts);
}

function imageOf(facts: BotFacts, { write }: BotPlan): string | undefined {
  const { bot, botClass, formerClass, pod } = facts;
  if (write !== "create-pod") return pod?.image;
  return botClass && podTemplate(turnOf(botClass, bot.uid).template, formerClass?.standIn).image;
}

function conditionFacts(facts: BotFacts, plan: BotPlan): readonly Fact[] {
  const told = reportedFacts(facts, plan);
  const flatness = plan.write === "create-pod" ? STARTING : plan.flatness;
  const now = { ...plan, flatness };
  const always = [
    readyFact(facts, plan),
    credentialsFact(facts),
    podFact(facts, plan),
    ...told,
    haltedFact(facts),
    fact("Flat", flatness.status, flatness),
  ];
  const sometimes = [
    drainingFact(facts, flatness),
    deferredFact(facts),
    positionUnknownFact(facts, now),
  ];
  return [...always, ...sometimes.filter((each) => each !== undefined)];
}

function credentialsFact(facts: BotFacts): Fact {
  const { bot, account } = facts;
  if (bot.accountKey === undefined) {
    return fact("CredentialsReady", "True", because("NotNeeded", "A paper bot needs no key."));
  }
  const refused = refusedKeyOfPod(facts);
  if (refused !== undefined) return fact("CredentialsReady", "False", refused);
  const verification = account && currentVerification(account);
  if (verification?.state === "verified") {
    return fact("CredentialsReady", "True", because("Verified", "The exchange accepts the key."));
  }
  const known = conditionOf(account?.status.conditions, "Ready");
  const reason = known ?? because("Unverified", "The exchange account has not been checked yet.");
  return fact("CredentialsReady", "False", reason);
}

function podFact(facts: BotFacts, plan: BotPlan): Fact {
  const { pod } = facts;
  const isGoing = pod === undefined || pod.isDeleting || plan.write === "delete-pod";
  if (isGoing && !isForeign(facts) && failedBefore(facts)) {
    return fact("PodReady", "False", FAILED_BEFORE);
  }
  if (plan.write === "create-pod") {
    return fact("PodReady", "False", because("Starting", "The bot is starting."));
  }
  if (pod === undefined || isForeign(facts)) {
    return fact("PodReady", "False", because("NoPod", "The bot has no pod at present."));
  }
  if (pod.isDeleting) {
    const lost = isLost(pod, facts.now) ? nodeLost(pod) : undefined;
    return fact("PodReady", "False", lost ?? because("Ending", "The pod is ending."));
  }
  if (pod.end !== undefined)
    return fact("PodReady", "False", because("Ended", "The pod has ended."));
  if (pod.isReady) return fact("PodReady", "True", because("Ready", "The pod is ready."));
  return fact("PodReady", "False", unreadyBecause(pod, facts));
}

/** Conditions that only the bot itself can know. */
function reportedFacts(facts: BotFacts, plan: BotPlan): readonly Fact[] {
  const { bot, pod, report } = facts;
  const isRunning =
    pod !== undefined && !pod.isDeleting && pod.end === undefined && !isForeign(facts);
  if (!isRunning || plan.write === "create-pod") {
    return unknownFacts(
      plan.write === "create-pod"
        ? because("Starting", "The bot is starting.")
        : because("NoPod", "No pod of the bot runs at present."),
    );
  }
  // The journal cannot be heard: nothing new is known about any bot, and a hundred thousand statuses stay as they are.
  if (report.kind === "unheard") return previousFacts(bot.status.conditions);
  const isOwn = report.kind !== "none" && report.latest.podUid === pod.uid;
  // Before the pod is ready a report is not shown: what it says comes with Ready, in one write.
  if (!isOwn || (!pod.isReady && wasStarting(bot.status.conditions))) {
    return unknownFacts(because("Starting", "The bot is starting."));
  }
  if (report.kind === "stale") {
    return unknownFacts(because("ReportStale", "The bot has not reported for a minute."));
  }
  return knownFacts(report.latest.report, bot.generation);
}

const REPORTED = ["ConfigApplied", "Trading", "Protected"] as const;

function unknownFacts(reason: { reason: string; message: string }): readonly Fact[] {
  return REPORTED.map((type) => fact(type, "Unknown", reason));
}

function previousFacts(conditions: readonly Condition[] | undefined): readonly Fact[] {
  return REPORTED.map((type) => {
    const { lastTransitionTime: _, ...previous } = conditionOf(conditions, type) ?? {
      ...fact(type, "Unknown", because("Starting", "The bot is starting.")),
      lastTransitionTime: "",
    };
    return previous;
  });
}

function wasStarting(conditions: readonly Condition[] | undefined): boolean {
  return conditionOf(conditions, "ConfigApplied")?.reason === "Starting";
}

function knownFacts(report: Report, generation: number): readonly Fact[] {
  const isApplied = report.generation >= generation;
  const applied = isApplied
    ? fact("ConfigApplied", "True", because("Applied", "The bot obeys its latest configuration."))
    : fact(
        "ConfigApplied",
        "False",
        because("Pending", "The bot has not taken its change over yet."),
      );
  const blocked = shownBlocks(report);
  const trading = report.trading
    ? fact("Trading", "True", because("Trading", "The bot may open positions."))
    : fact("Trading", "False", {
        reason: reasonOf(blocked[0]?.reason ?? "Blocked"),
        message: blocked.map(({ message }) => message).join("; ") || "The bot opens nothing.",
      });
  return [
    { ...applied, observedGeneration: isApplied ? generation : report.generation },
    trading,
    protectedFact(report),
  ];
}

/** What lasts alone: beside it, what will pass is noise. */
function shownBlocks(report: Report): Report["blocked"] {
  const lasting = lastingBlocks(report);
  return lasting.length > 0 ? lasting : report.blocked;
}

function protectedFact(report: Report): Fact {
  if (report.positions.length === 0) {
    return fact("Protected", "True", because("NoPosition", "No position is open."));
  }
  return report.protected
    ? fact(
        "Protected",
        "True",
        because("StopsPlaced", "Every position has its stop at the exchange."),
      )
    : fact("Protected", "False", because("StopMissing", "A position has no stop at the exchange."));
}

function haltedFact({ halts }: BotFacts): Fact {
  if (halts.length === 0) {
    return fact("Halted", "False", because("NoHalt", "No halt concerns the bot."));
  }
  return fact("Halted", "True", because("TradingHalt", haltMessage(halts)));
}

/** Kubernetes' form of a reason: a bot's own words are made to fit. */
function reasonOf(text: string): string {
  const words = text.split(/[^A-Za-z0-9]+/).filter((word) => word !== "");
  const camelCase = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join("");
  return camelCase.slice(0, 64) || "Blocked";
}

function because(reason: string, message: string) {
  return { reason, message };
}
