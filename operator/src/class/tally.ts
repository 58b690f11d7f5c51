import { setImmediate } from "node:timers/promises";
import type { BotView } from "../bot/bot-view.ts";
import type { BotFacts, Refusal } from "../bot/facts.ts";
import { provenFlatness } from "../bot/flatness.ts";
import { isForeign } from "../bot/foreign-pod.ts";
import { observeBot, observeProgress, type ObserveDeps } from "../bot/observe.ts";
import { planBot, RESTART_NEEDED } from "../bot/plan.ts";
import { restartsBefore, restartsWith } from "../bot/restart.ts";
import type { ClassView } from "../class-view.ts";
import { conditionOf } from "../conditions.ts";
import type { PodView } from "../pod-view.ts";
import { NOBODY, type Tally } from "./plan-wave.ts";
import type { HashedTemplate } from "./pod-template.ts";
import { isFailing, isUnwell, replacementDueInMs, slotOf, templateHashOf, turnOf } from "./turn.ts";

type Standing =
  | "updated"
  | "moving"
  | "deferred"
  | "failed"
  | "unproven"
  | "held"
  | "refused"
  | "resting"
  | "waiting"
  | "none";

/** Counting goes on without blocking what else the operator does: about 2 ms at a time. */
const YIELD_EVERY = 2_000;

/** Counts where the bots of the class stand, from memory and the bots' own plans. */
export async function tallyOf(botClass: ClassView, deps: ObserveDeps): Promise<Tally> {
  const counts = { ...NOBODY };
  const waiting: number[] = [];
  let trouble: string | undefined;
  let seen = 0;
  for (const bot of deps.cluster.bots.store.find("class", botClass.name)) {
    if (++seen % YIELD_EVERY === 0) await setImmediate();
    const standing = standingOf(bot, botClass, deps);
    if (standing === "waiting") waiting.push(slotOf(bot.uid));
    else if (standing !== "none") counts[standing]++;
    if (standing === "failed") trouble ??= troubleOf(bot, deps);
  }
  return { ...counts, waiting, trouble };
}

function standingOf(bot: BotView, botClass: ClassView, deps: ObserveDeps): Standing {
  const { pod } = observeProgress(bot, deps);
  if (pod === undefined || isForeign({ bot, pod })) {
    return standingWithoutPod(bot, botClass, () => observeBot(bot, deps));
  }
  const { target, stable, direction } = botClass.rollout;
  const goal = direction === "Forward" ? target : stable;
  if (templateHashOf(pod) !== goal?.hash || pod.isDeleting) {
    return standingBefore(pod, { bot, botClass, deps });
  }
  if (pod.end?.succeeded !== true) return health(pod, bot, deps.now());
  return standingAfterEnd(pod, bot, restartsBefore(deps.restarts.get(bot.key), pod.uid));
}

/** With the template that it shall have. */
export function health(pod: PodView, bot: BotView, now: Date): Standing {
  if (!isFailing(pod)) {
    if (pod.isReady) return "updated";
    const why = conditionOf(bot.status.conditions, "Ready")?.reason;
    if (why === "CredentialsRefused") return "held";
  }
  if (!isUnwell(pod, now)) return "moving";
  return pod.wasUnwell ? "unproven" : "failed";
}

/** So often in a row a process ends on its own accord by chance; an image that does nothing does it again and again. */
const ENDS_MAX = 1;

/**
 * A process that ended well is no witness any more, not even for the moment until its pod is gone: one that never was ready ends so too.
 * Told to trade, it gets another pod; told less, it has done what it should and rests.
 */
function standingAfterEnd(pod: PodView, bot: BotView, restarts: number): Standing {
  if (bot.spec.state !== "Running" || pod.toldState !== "Running") return "resting";
  if (restartsWith(pod, restarts) <= ENDS_MAX) return "moving";
  return pod.wasUnwell ? "unproven" : "failed";
}

interface Before {
  readonly bot: BotView;
  readonly botClass: ClassView;
  readonly deps: ObserveDeps;
}

function standingBefore(pod: PodView, { bot, botClass, deps }: Before): Standing {
  const turn = turnOf(botClass, bot.uid);
  if (pod.isDeleting) return turn.isDue ? "moving" : "waiting";
  const flatness = provenFlatness(observeProgress(bot, deps));
  const dueInMs = replacementDueInMs({ pod, bot, turn, flatness, now: deps.now() });
  if (dueInMs === undefined) return "waiting";
  if (dueInMs > 0) return "deferred";
  const { write, denial } = planBot(observeBot(bot, deps));
  // Told to open nothing, a flat bot ends by itself, and another pod follows at the new address.
  const endsItself = denial?.reason === RESTART_NEEDED && flatness.status === "True";
  return write === "delete-pod" || endsItself ? "moving" : "held";
}

/** Between two pods, or refused one. Whoever had none before the rollout is no part of it. */
export function standingWithoutPod(
  bot: BotView,
  botClass: ClassView,
  observe: () => BotFacts,
): Standing {
  const { podName, conditions } = bot.status;
  const flat = conditionOf(conditions, "Flat")?.reason ?? "NeverStarted";
  const absent = flat === "NeverStarted" ? "none" : "resting";
  if (bot.spec.state !== "Running") return absent;
  const reason = conditionOf(conditions, "Ready")?.reason ?? "";
  const isBetween = podName !== undefined || reason === "StartQueued" || reason === "PodRefused";
  const { isDue, template } = turnOf(botClass, bot.uid);
  if (!isBetween || !isDue) return absent;
  const facts = observe();
  if (facts.refusal !== undefined) return refusedAs(facts.refusal, template);
  return planBot(facts).write === undefined ? absent : "moving";
}

function refusedAs({ reason, blamedTemplate }: Refusal, { hash }: HashedTemplate): Standing {
  if (reason !== "PodRefused") return "held";
  return blamedTemplate === hash ? "failed" : "refused";
}

function troubleOf(bot: BotView, deps: ObserveDeps): string | undefined {
  const { pod, refusal } = observeProgress(bot, deps);
  const ended = pod?.end && `Its pod ended again and again (exit code ${pod.end.exitCode ?? 0}).`;
  return pod?.trouble?.message ?? refusal?.message ?? ended;
}
