import { type RolloutStatus, SLOTS } from "@tradingbots/crds";
import { describe, expect, test } from "vitest";
import type { BotView } from "../bot/bot-view.ts";
import {
  condition,
  exampleBot,
  exampleClass,
  examplePod,
  exampleReport,
  NOW,
  runningFacts,
} from "../bot/example-facts.ts";
import type { Refusal } from "../bot/facts.ts";
import { FAILED_BEFORE, failedBefore } from "../bot/failed-before.ts";
import type { ObserveDeps } from "../bot/observe.ts";
import { planBot } from "../bot/plan.ts";
import { botPod, podInputsHash } from "../bot/pod.ts";
import { botStatus } from "../bot/status.ts";
import { type ClassView, rolloutView } from "../class-view.ts";
import { type PodView, UNWELL_BEFORE_ANNOTATION } from "../pod-view.ts";
import type { BotReport } from "../reports.ts";
import { planRollout } from "./plan-rollout.ts";
import { health, standingWithoutPod, tallyOf } from "./tally.ts";
import { NOBODY, type Tally } from "./plan-wave.ts";
import { hashedTemplate } from "./pod-template.ts";
import { turnOf } from "./turn.ts";

const good = exampleClass.wanted;
const next = hashedTemplate({ ...good, image: "bot:2" });
const rollout: RolloutStatus = {
  stable: good,
  target: next,
  direction: "Forward",
  reach: SLOTS,
  wave: 1,
  waveStartedAt: NOW.toISOString(),
};
const rolling: ClassView = {
  ...exampleClass,
  wanted: next,
  spec: { ...exampleClass.spec, image: next.image },
  status: { rollout },
  rollout: rolloutView(rollout),
};

const crashing = {
  isReady: false,
  restarts: 7,
  trouble: { reason: "CrashLooping", message: "It crashes." },
} as const;
const SETTINGS = {
  vaultAddress: "http://vault",
  vaultImage: "vault:1",
  journalUrl: "http://journal",
  imagePullPolicy: "IfNotPresent",
} as const;
const paperBot = (status: object = {}) =>
  exampleBot({ mode: "paper", accountName: undefined }, {}, status);
const paper = paperBot();
const stage = (bot: BotView) => runningFacts({ bot, account: undefined, botClass: rolling });

/** A bot as it goes from the pod of the good template that fails, or does not, to one of the next template. */
function replaced(bot: BotView, before: Partial<PodView>) {
  const facts = stage(bot);
  const old = examplePod({ ...facts, botClass: exampleClass }, before);
  const told = { ...facts, pod: old };
  const plan = planBot(told);
  expect(plan.write).toBe("delete-pod");
  const going = { ...told, bot: paperBot(botStatus(told, plan)) };
  const gone = { ...going, pod: undefined, report: { kind: "none" } } as const;
  const made = planBot(gone);
  expect(made.write).toBe("create-pod");
  // The status is written first, and is all that an operator has that takes over here.
  const after = { ...gone, bot: paperBot(botStatus(gone, made)) };
  const inputs = {
    bot,
    template: turnOf(rolling, bot.uid).template,
    credentialsVersion: undefined,
    wasUnwell: failedBefore(after),
  };
  const { annotations } = botPod(inputs, made.config, SETTINGS).metadata;
  return examplePod(after, { ...crashing, wasUnwell: UNWELL_BEFORE_ANNOTATION in annotations });
}

/** The rollout's next step, with two more bots that run well with the next template. */
function planWith(pod: PodView) {
  const standing = health(pod, paper, NOW);
  const tally = { ...NOBODY, updated: 2, [standing]: 1 };
  return { standing, ...planRollout({ botClass: rolling, tally, now: NOW }) };
}

describe("one robot of three that cannot run", () => {
  test("and could not before its turn takes nothing from the others: the rollout goes on", () => {
    const planned = planWith(replaced(paper, crashing));
    expect(planned).toMatchObject({ standing: "unproven", direction: "Forward" });
    expect(planned.rejected).toBeUndefined();
  });

  test.each<[string, Partial<PodView>]>([
    ["but could", {}],
    ["but ran, after restarts of long ago,", { restarts: 2 }],
    ["but was merely not ready, as on a lost machine,", { isReady: false }],
  ])("%s before its turn takes the template back", (_, before) => {
    expect(planWith(replaced(paper, before))).toMatchObject({
      standing: "failed",
      direction: "Back",
      rejected: { template: { image: "bot:2" } },
    });
  });

  test("is remembered between two pods, and forgotten when it shall not run", () => {
    const failed = {
      type: "PodReady",
      status: "False",
      ...FAILED_BEFORE,
      lastTransitionTime: NOW.toISOString(),
    };
    const remembered = ["Running", "Stopped"].map((state) => {
      const spec = { mode: "paper", accountName: undefined, state };
      const bot = exampleBot(spec, {}, { conditions: [failed] });
      return failedBefore({ ...stage(bot), pod: undefined });
    });
    expect(remembered).toEqual([true, false]);
  });
});

const flat = (reason: string) => ({ conditions: [condition("Flat", "Unknown", reason)] });

describe("of bots without a pod, one that", () => {
  const between = { ...flat("NotReported"), podName: "bot-1" };
  const refusal: Refusal = {
    reason: "PodRefused",
    message: "exceeded quota",
    times: 1,
    flatBefore: { status: "Unknown", reason: "NotReported", message: "" },
  };
  const byTemplate = { ...refusal, blamedTemplate: next.hash };
  const byOther = { ...refusal, blamedTemplate: "x" };
  const foreign: Refusal = { ...refusal, reason: "ForeignPod" };
  test.each<[string, string, object, Refusal | undefined, string]>([
    ["never had one is none", "Stopped", flat("NeverStarted"), undefined, "none"],
    ["had one once rests", "Paused", flat("Closed"), undefined, "resting"],
    ["is about to get the next is moving", "Running", between, undefined, "moving"],
    ["is refused one of any template has not failed", "Running", between, refusal, "refused"],
    ["is refused one of this template has failed", "Running", between, byTemplate, "failed"],
    ["was refused one of a template before has not", "Running", between, byOther, "refused"],
    ["finds another's in its place is held", "Running", between, foreign, "held"],
  ])("%s", (...[, state, status, refused, standing]) => {
    const bot = exampleBot({ mode: "paper", accountName: undefined, state }, {}, status);
    const observe = () => ({ ...stage(bot), pod: undefined, refusal: refused });
    expect(standingWithoutPod(bot, rolling, observe)).toBe(standing);
  });
});

interface Seen {
  readonly pod?: Partial<PodView>;
  /** Undefined: the journal cannot be heard. */
  readonly latest?: BotReport;
  readonly botClass?: ClassView;
}

/** What is known of one bot whose turn has come. */
function observed(bot: BotView, { pod = {}, latest, botClass = rolling }: Seen): ObserveDeps {
  const none = { store: { get: () => undefined, views: () => [], find: () => [] } };
  const deps = {
    cluster: {
      bots: { store: { find: () => [bot] } },
      pods: { get: () => examplePod({ ...stage(bot), botClass: exampleClass }, pod) },
      classes: { store: { get: () => botClass } },
      serviceAccounts: { get: () => ({}) },
      accounts: none,
      halts: none,
      cordonedNodes: none,
    },
    reports: { latest: () => latest, isHeard: () => latest !== undefined },
    refusals: new Map(),
    restarts: new Map(),
    now: () => NOW,
    clock: () => latest?.saidAtMs ?? 0,
  };
  return deps as unknown as ObserveDeps; // oxlint-disable-line typescript/no-unsafe-type-assertion
}
const unheard = (bot: BotView, pod: Partial<PodView> = {}) => observed(bot, { pod });

test("while the journal is silent, who was flat keeps its place among the unavailable", async () => {
  const bot = paperBot({ conditions: [condition("Flat", "True", "NothingOpen")] });
  expect(await tallyOf(rolling, unheard(bot))).toMatchObject({ deferred: 1, held: 0, moving: 0 });
});

test.each<[string, boolean, object]>([
  ["flat, is on its way", true, { moving: 1, deferred: 0, held: 0 }],
  ["with a position, keeps its place", false, { moving: 0, deferred: 1, held: 0 }],
])("who shall trade at another address, %s", async (_name, isFlat, counts) => {
  const address = { restUrl: "http://simulator", websocketUrl: "ws://simulator" };
  const elsewhere = { ...good, endpoints: [{ exchange: "bybit" as const, ...address }] };
  const to = { ...rolling, rollout: rolloutView({ ...rollout, target: elsewhere }) };
  const latest = exampleReport({ flat: isFlat, state: "Paused" });
  const deps = observed(paper, { pod: { toldState: "Paused" }, latest, botClass: to });
  expect(await tallyOf(to, deps)).toMatchObject(counts);
});

describe("of bots whose pod of the next template ended well, one that", () => {
  const ends = (changes: object) => ({
    inputsHash: podInputsHash({ bot: paper, template: next, credentialsVersion: undefined }),
    isReady: false,
    createdAt: "2026-01-01T11:59:50Z",
    end: {
      succeeded: true,
      message: undefined,
      podReason: undefined,
      exitCode: 0,
      finishedAt: "2026-01-01T11:59:55Z",
    },
    ...changes,
  });
  const told = (toldState: PodView["toldState"]) => ends({ toldState });
  const stopped = exampleBot({ mode: "paper", accountName: undefined, state: "Stopped" });
  test.each<[string, BotView, Partial<PodView>, number, Partial<Tally>]>([
    ["should trade gets another", paper, told("Running"), 0, { moving: 1 }],
    ["should trade and does so again has failed", paper, told("Running"), 1, { failed: 1 }],
    [
      "failed before as well proves nothing",
      paper,
      ends({ toldState: "Running", wasUnwell: true }),
      1,
      { unproven: 1 },
    ],
    ["was told to open nothing rests", paper, told("Paused"), 0, { resting: 1 }],
    ["was stopped as it ended rests", stopped, told("Running"), 0, { resting: 1 }],
  ])("%s, and none shows what the template is worth", async (...[, bot, pod, before, counts]) => {
    const deps = observed(bot, { pod });
    const restarts = new Map([[bot.key, { podUid: "uid-of-the-last", count: before }]]);
    const { trouble, ...tally } = await tallyOf(rolling, { ...deps, restarts });
    expect(tally).toEqual({ ...NOBODY, ...counts });
    expect(trouble).toBe(counts.failed && "Its pod ended again and again (exit code 0).");
  });

  test("without a soak they do not let it pass", async () => {
    const last = { ...rollout, wave: 1 };
    const hasty = { ...rolling.spec, rollout: { ...rolling.spec.rollout, soakSeconds: 0 } };
    const botClass = { ...rolling, spec: hasty, status: { rollout: last } };
    const tally = await tallyOf(botClass, observed(paper, { pod: told("Paused"), botClass }));
    expect(planRollout({ botClass, tally, now: NOW })).toMatchObject({
      target: next,
      stable: good,
    });
  });
});

test("a pod that is somebody else's is no bot of the class", async () => {
  const foreign = { ownerUid: "somebody", botUid: "somebody" };
  expect(await tallyOf(rolling, unheard(paperBot(), foreign))).toMatchObject({
    deferred: 0,
    waiting: [],
  });
});
