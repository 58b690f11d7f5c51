import { ANNOTATIONS, FINALIZERS, LABELS } from "@tradingbots/crds";
import { backOffMs, isAlreadyExists, KubernetesError } from "@tradingbots/kube";
import { turnOf } from "../class/turn.ts";
import type { ClusterWrites } from "../cluster-writes.ts";
import { isSameStatus } from "../conditions.ts";
import type { PodSettings } from "../config.ts";
import type { Events } from "../events.ts";
import type { BotLeases } from "../leases.ts";
import { pausingHalts } from "../halt/progress.ts";
import { podView, POSITION_OPEN, UNWELL_BEFORE_ANNOTATION } from "../pod-view.ts";
import type { StartLine } from "../start-line.ts";
import type { BotFacts, Refusal } from "./facts.ts";
import { failedBefore } from "./failed-before.ts";
import { flatnessOf, isFinal } from "./flatness.ts";
import { FOREIGN_POD, isForeign } from "./foreign-pod.ts";
import { newsIn } from "./news.ts";
import { observeBot, type ObserveDeps } from "./observe.ts";
import { type BotPlan, type BotWrite, planBot, wantsPod } from "./plan.ts";
import { botPod, podTemplate } from "./pod.ts";
import { type Restarts, restartsWith } from "./restart.ts";
import { paperAccount } from "./service-account.ts";
import { startNeeded, startQueued } from "./start-turn.ts";
import { botStatus } from "./status.ts";

export interface BotDeps extends ObserveDeps {
  readonly writes: ClusterWrites;
  readonly refusals: Map<string, Refusal>;
  readonly restarts: Map<string, Restarts>;
  readonly leases: BotLeases;
  readonly events: Events;
  readonly podSettings: PodSettings;
  readonly starts: Pick<StartLine, "ask" | "leave">;
  readonly wake: (key: string) => void;
}

export interface Result {
  readonly requeueAfterMs?: number | undefined;
}

/** The longest chain is finalizer, service account, pod, nothing more to do; one is to spare. A halt's pause ends in a configuration. */
const STEPS_MAX = 5;
/** A pod that the API server refuses is offered again: ten thousand under a full quota are then 50 attempts a second and no 300. */
const REFUSED_BACK_OFF = { initialMs: 30_000, maxMs: 300_000 };

/** Brings one bot from what is to what shall be, one write at a time. Called again after any change or failure. */
export async function reconcileBot(key: string, deps: BotDeps): Promise<Result> {
  for (let step = 0; step < STEPS_MAX; step++) {
    const bot = deps.cluster.bots.store.get(key);
    if (bot === undefined) return forget(key, deps);

    const facts = observeBot(bot, deps);
    const plan = planBot(facts);
    if (plan.write === "create-pod" && facts.refusal !== undefined) {
      const refused = await offerAgain(facts, plan, deps);
      if (refused !== undefined) return refused;
      continue;
    }
    const queued = await untilItsTurn(facts, plan, deps);
    if (queued !== undefined) return queued;
    if (statusComesFirst(plan.write)) await writeStatus(facts, botStatus(facts, plan), deps);
    if (plan.write === undefined) {
      // Only now: until the status says so, the refusal alone knows that nothing was made.
      if (!wantsPod(plan)) deps.refusals.delete(key);
      return { requeueAfterMs: plan.requeueAfterMs };
    }

    const next = await WRITES[plan.write](facts, plan, deps);
    if (next !== "go-on") return next;
  }
  throw new Error(`${key} did not settle within ${STEPS_MAX} steps`);
}

/** Vault bears so many logins a second: until its turn comes a bot waits, and says so when that takes long. */
async function untilItsTurn(
  facts: BotFacts,
  plan: BotPlan,
  deps: BotDeps,
): Promise<Result | undefined> {
  const { key } = facts.bot;
  const start = startNeeded(facts, plan);
  if (start === undefined) {
    deps.starts.leave(key);
    return undefined;
  }
  const answer = deps.starts.ask({ ...start, wake: () => deps.wake(key) });
  if (answer.mayStart) return undefined;
  if (answer.ahead !== undefined) {
    const waiting = { ...plan, write: undefined, denial: startQueued(answer.ahead) };
    await writeStatus(facts, botStatus(facts, waiting), deps);
  }
  return { requeueAfterMs: plan.requeueAfterMs };
}

/**
 * A pod is never created, deleted or given up before the status says what that means for open positions: after a crash in between, the
 * status is the only memory. The other writes lead on to another step, whose status is worth more.
 */
function statusComesFirst(write: BotWrite | undefined): boolean {
  return write === undefined || ENDS_OR_BEGINS.has(write);
}

const ENDS_OR_BEGINS = new Set<BotWrite>(["create-pod", "delete-pod", "release-lost-pod"]);

type Carry = (facts: BotFacts, plan: BotPlan, deps: BotDeps) => Promise<Result | "go-on">;

const WRITES: Readonly<Record<BotWrite, Carry>> = {
  "add-finalizer": async ({ bot }, _plan, { writes }) => {
    await writes.bots.setFinalizers(bot, [...bot.finalizers, FINALIZERS.bot]);
    return "go-on";
  },
  // Together with the state, or a crash in between would pause a bot twice.
  "pause-after-halt": async (facts, _plan, { writes }) => {
    const { bot, halts } = facts;
    const inForce = new Set(halts.map(({ uid }) => uid));
    const before = bot.pausedByHalts.filter((uid) => inForce.has(uid));
    const uids = [...before, ...pausingHalts(facts).map(({ uid }) => uid)];
    await writes.pauseBot(bot, { [ANNOTATIONS.pausedByHalts]: uids.join(",") });
    return "go-on";
  },
  "create-service-account": (facts, plan, deps) =>
    make(() => deps.writes.createServiceAccount(paperAccount(facts.bot)), { facts, plan }, deps),
  "create-pod": (facts, plan, deps) =>
    make(() => deps.writes.createPod(buildPod(facts, plan, deps)), { facts, plan }, deps),
  "update-config": async ({ pod }, { config }, { writes }) => {
    if (pod === undefined) return {};
    await writes.annotatePod(pod, { [ANNOTATIONS.config]: JSON.stringify(config) });
    return "go-on";
  },
  "guard-pod": async ({ pod }, { isGuarded }, { writes }) => {
    if (pod === undefined) return {};
    await writes.labelPod(pod, { [LABELS.position]: isGuarded ? POSITION_OPEN : null });
    return "go-on";
  },
  "forget-failure": async ({ pod }, _plan, { writes }) => {
    if (pod === undefined) return {};
    await writes.annotatePod(pod, { [UNWELL_BEFORE_ANNOTATION]: null });
    return "go-on";
  },
  // What follows begins with the pod's end, which the watch tells.
  "delete-pod": async (facts, plan, { writes, restarts }) => {
    const { bot, pod } = facts;
    if (pod === undefined) return {};
    await writes.deletePod(pod);
    const isFollowed = plan.told === "Running" || !isFinal(plan.flatness);
    const count = restartsWith(pod, facts.restarts);
    if (pod.end !== undefined && isFollowed) restarts.set(bot.key, { podUid: pod.uid, count });
    else restarts.delete(bot.key);
    return {};
  },
  "release-lost-pod": async ({ bot, pod }, _plan, { writes, leases }) => {
    if (pod === undefined) return {};
    const leftMs = await leases.leftMs(bot);
    if (leftMs > 0) return { requeueAfterMs: leftMs };
    await writes.releasePod(pod);
    return {};
  },
  "delete-bot": async ({ bot }, _plan, { writes }) => {
    await writes.bots.remove(bot);
    return {};
  },
  "remove-finalizer": async ({ bot }, _plan, { writes }) => {
    const others = bot.finalizers.filter((finalizer) => finalizer !== FINALIZERS.bot);
    await writes.bots.setFinalizers(bot, others);
    return {};
  },
};

/** What the API server refuses is offered again later, and the status says why. */
async function make(create: () => Promise<void>, decided: Decided, deps: BotDeps) {
  try {
    await create();
    return "go-on";
  } catch (error) {
    const refusal = await refusalOf(error, decided, deps);
    if (refusal === undefined) return "go-on";
    return recordRefusal({ ...decided.facts, refusal }, decided.plan, deps);
  }
}

interface Decided {
  readonly facts: BotFacts;
  readonly plan: BotPlan;
}

/** Asks without effect, so that a pod that is refused again and again costs no status write. Undefined when it would be taken. */
async function offerAgain(
  facts: BotFacts,
  plan: BotPlan,
  deps: BotDeps,
): Promise<Result | undefined> {
  try {
    await deps.writes.tryPod(buildPod(facts, plan, deps));
  } catch (error) {
    const refusal = await refusalOf(error, { facts, plan }, deps);
    if (refusal !== undefined) return recordRefusal({ ...facts, refusal }, plan, deps);
  }
  deps.refusals.delete(facts.bot.key);
  return undefined;
}

/** Undefined when the pod turns out to be there and to be the bot's own. @throws what is no refusal. */
async function refusalOf(
  error: unknown,
  { facts, plan }: Decided,
  deps: BotDeps,
): Promise<Refusal | undefined> {
  const { writes } = deps;
  const { bot } = facts;
  const known = { flatBefore: plan.flatness, times: (facts.refusal?.times ?? 0) + 1 };
  if (isAlreadyExists(error)) {
    const pod = await writes.findPod(bot);
    if (pod === undefined) throw error; // gone this instant: try again
    if (!isForeign({ bot, pod: podView(pod) })) {
      writes.observePod(pod);
      return undefined;
    }
    return { ...FOREIGN_POD, ...known };
  }
  if (!isRefusal(error)) throw error;
  if (error.message.includes(NAMESPACE_ENDING)) {
    const message = "The bot's namespace is being deleted, and no pod can be made there any more.";
    return { reason: "NamespaceEnding", message, ...known };
  }
  return {
    reason: "PodRefused",
    message: `The cluster refuses the pod: ${withoutUse(error.message)}`,
    blamedTemplate: await blamedTemplate(facts, plan, deps),
    ...known,
  };
}

/** Asks without effect for the same pod of the last good template: a quota or a policy that refuses both is no fault of a rollout. */
async function blamedTemplate(
  facts: BotFacts,
  plan: BotPlan,
  deps: BotDeps,
): Promise<string | undefined> {
  const { bot, botClass } = facts;
  if (botClass === undefined) return undefined;
  const { rollout } = botClass;
  const { hash } = turnOf(botClass, bot.uid).template;
  if (hash === rollout.stable.hash) return undefined;
  const atRest = { ...botClass, rollout: { ...rollout, target: undefined } };
  try {
    await deps.writes.tryPod(buildPod({ ...facts, botClass: atRest }, plan, deps));
    return hash;
  } catch (tried) {
    if (!isRefusal(tried)) throw tried;
    return undefined;
  }
}

/** Of the API server's own sentence. */
const NAMESPACE_ENDING = "because it is being terminated";

/** How much of a quota is used changes with every other pod, and a status would be written for each. */
function withoutUse(message: string): string {
  return message.replace(/, used: \S+(?=, limited: )/, "");
}

/** Quota, policy or a specification that cannot be: an answer that says that no pod was made. */
function isRefusal(error: unknown): error is KubernetesError {
  return error instanceof KubernetesError && [400, 403, 422].includes(error.status);
}

async function recordRefusal(
  facts: BotFacts & { readonly refusal: Refusal },
  plan: BotPlan,
  deps: BotDeps,
): Promise<Result> {
  deps.refusals.set(facts.bot.key, facts.refusal);
  const offerMs = backOffMs(facts.refusal.times, REFUSED_BACK_OFF, Math.random);
  const again = { requeueAfterMs: Math.min(offerMs, plan.requeueAfterMs ?? Infinity) };
  const bot = deps.cluster.bots.store.get(facts.bot.key) ?? facts.bot;
  if (bot.generation !== facts.bot.generation) return again; // the change has woken the bot: it is decided anew
  const now = { ...facts, bot };
  await writeStatus(
    now,
    botStatus(now, { ...plan, write: undefined, flatness: flatnessOf(now) }),
    deps,
  );
  return again;
}

function buildPod(facts: BotFacts, plan: BotPlan, deps: BotDeps) {
  const { config, credentialsVersion, isGuarded } = plan;
  const { bot, botClass } = facts;
  if (botClass === undefined) throw new Error(`a pod for ${bot.key} without a class`);
  const standIn = facts.formerClass?.standIn;
  const template = podTemplate(turnOf(botClass, bot.uid).template, standIn);
  const className = standIn?.name ?? botClass.name;
  const wasUnwell = failedBefore(facts);
  const inputs = { bot, template, className, credentialsVersion, isGuarded, wasUnwell };
  return botPod(inputs, config, deps.podSettings);
}

/** Nothing is written when nothing differs. */
async function writeStatus(
  { bot }: BotFacts,
  status: ReturnType<typeof botStatus>,
  { writes, events }: BotDeps,
): Promise<void> {
  if (isSameStatus(bot.status, status)) return;
  await writes.bots.replaceStatus(bot, status);
  const { namespace, name, uid } = bot;
  for (const { reason, message } of newsIn(status.conditions, bot.status.conditions)) {
    events.warn({ kind: "TradingBot", namespace, name, uid }, reason, message);
  }
}

function forget(key: string, { refusals, restarts, starts }: BotDeps): Result {
  refusals.delete(key);
  restarts.delete(key);
  starts.leave(key);
  return {};
}
