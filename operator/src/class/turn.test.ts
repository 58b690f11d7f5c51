import { BotClass } from "@tradingbots/crds";
import { describe, expect, test } from "vitest";
import {
  condition,
  exampleBot,
  exampleClass,
  exampleFacts,
  examplePod,
  NOW,
} from "../bot/example-facts.ts";
import type { Flatness } from "../bot/flatness.ts";
import { type ClassView, classView, rolloutView } from "../class-view.ts";
import type { PodView } from "../pod-view.ts";
import { DEFERRAL_MAX_MS, replacementDueInMs, ROLLOUT_DEFERRED, slotOf, turnOf } from "./turn.ts";

const UID = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff";
const SLOT = slotOf(UID);
const good = exampleClass.wanted;
const next = { ...good, image: "bot:2" };
const nextHash = rolloutView({ stable: next }).stable.hash;

/** Its last wave has begun this moment. */
const rolling = (direction: "Forward" | "Back", reach: number): ClassView => ({
  ...exampleClass,
  rollout: rolloutView({
    stable: good,
    target: next,
    direction,
    reach,
    waveStartedAt: NOW.toISOString(),
  }),
});

test("slots spread evenly, also over uids that differ in their last characters only", () => {
  const tenths = Array.from({ length: 10 }, () => 0);
  for (let serial = 0; serial < 10_000; serial++) {
    const tenth = Math.floor(slotOf(`6f9619ff-8b86-4d01-b42d-${serial}`) / (2 ** 32 / 10));
    tenths[tenth] = (tenths[tenth] ?? 0) + 1;
  }
  for (const count of tenths) expect(Math.abs(count - 1_000)).toBeLessThan(150);
});

describe("a new pod is made from", () => {
  test.each<[string, ClassView, string]>([
    ["the good template at rest", exampleClass, "bot:1"],
    ["the next one when its turn has come", rolling("Forward", SLOT + 1), "bot:2"],
    ["the good one before its turn", rolling("Forward", SLOT), "bot:1"],
    ["the good one on the way back, its turn or not", rolling("Back", SLOT + 1), "bot:1"],
  ])("%s", (_name, botClass, image) => {
    expect(turnOf(botClass, UID).template.image).toBe(image);
  });
});

const FLAT: Flatness = { status: "True", reason: "NothingOpen", message: "" };
const OPEN: Flatness = { status: "False", reason: "PositionOpen", message: "" };
const SILENT: Flatness = { status: "Unknown", reason: "NotReported", message: "" };
const crashing = { reason: "CrashLooping", message: "" } as const;
const noRoom = { reason: "Unschedulable", message: "" } as const;

interface Case {
  readonly name: string;
  readonly botClass: ClassView;
  readonly flatness?: Flatness;
  readonly pod?: Partial<PodView>;
  /** Milliseconds since its position began to keep its pod. */
  readonly deferredForMs?: number;
  /** Its pod has the next template already. */
  readonly hasNext?: boolean;
  readonly dueInMs: number | undefined;
}

const inTurn = rolling("Forward", SLOT + 1);
const noDeferral: ClassView = {
  ...inTurn,
  spec: { ...inTurn.spec, rollout: { ...inTurn.spec.rollout, deferWhilePositionOpen: false } },
};

test.each<Case>([
  { name: "as wanted", botClass: exampleClass, dueInMs: undefined },
  {
    name: "left behind by a rollout that is over",
    botClass: exampleClass,
    hasNext: true,
    dueInMs: 0,
  },
  { name: "flat, in turn", botClass: inTurn, dueInMs: 0 },
  { name: "flat, before its turn", botClass: rolling("Forward", SLOT), dueInMs: undefined },
  { name: "updated", botClass: inTurn, hasNext: true, dueInMs: undefined },
  { name: "position open, in turn", botClass: inTurn, flatness: OPEN, dueInMs: DEFERRAL_MAX_MS },
  { name: "nothing known, in turn", botClass: inTurn, flatness: SILENT, dueInMs: DEFERRAL_MAX_MS },
  { name: "position open, no deferral", botClass: noDeferral, flatness: OPEN, dueInMs: 0 },
  {
    name: "position open since its turn came, other waves later",
    botClass: inTurn,
    flatness: OPEN,
    deferredForMs: 60_000,
    dueInMs: DEFERRAL_MAX_MS - 60_000,
  },
  {
    name: "position open for too long, though a wave has just begun",
    botClass: inTurn,
    flatness: OPEN,
    deferredForMs: DEFERRAL_MAX_MS,
    dueInMs: 0,
  },
  {
    name: "of a class that is made anew and not decided",
    botClass: classView(
      BotClass.schema.parse({
        apiVersion: BotClass.apiVersion,
        kind: BotClass.kind,
        metadata: {
          name: "free",
          uid: "another",
          resourceVersion: "1",
          generation: 1,
          creationTimestamp: NOW.toISOString(),
        },
        spec: { image: "bot:2" },
      }),
    ),
    dueInMs: undefined,
  },
  {
    name: "failing, in turn, position open",
    botClass: inTurn,
    flatness: OPEN,
    pod: { trouble: crashing },
    dueInMs: 0,
  },
  {
    name: "failing before its turn: the next is for its turn",
    botClass: rolling("Forward", SLOT),
    pod: { trouble: crashing },
    dueInMs: undefined,
  },
  {
    name: "no room is no failure",
    botClass: inTurn,
    flatness: OPEN,
    pod: { trouble: noRoom },
    dueInMs: DEFERRAL_MAX_MS,
  },
  {
    name: "way back, healthy, before its turn",
    botClass: rolling("Back", SLOT + 1),
    hasNext: true,
    dueInMs: undefined,
  },
  {
    name: "way back, healthy, in turn",
    botClass: rolling("Back", SLOT),
    hasNext: true,
    dueInMs: 0,
  },
  {
    name: "way back, failing, before its turn",
    botClass: rolling("Back", SLOT + 1),
    hasNext: true,
    pod: { trouble: crashing },
    dueInMs: 0,
  },
  {
    name: "way back, ended twice though ready now",
    botClass: rolling("Back", SLOT + 1),
    hasNext: true,
    pod: { restarts: 2 },
    flatness: OPEN,
    dueInMs: 0,
  },
])(
  "a pod is replaced: $name",
  ({ botClass, flatness = FLAT, pod = {}, deferredForMs, hasNext, dueInMs }) => {
    const made = examplePod(exampleFacts(), pod);
    const inputsHash = hasNext === true ? `${nextHash}.x` : made.inputsHash;
    const since = new Date(NOW.getTime() - (deferredForMs ?? 0)).toISOString();
    const deferred = {
      ...condition(ROLLOUT_DEFERRED, "True", "PositionOpen"),
      lastTransitionTime: since,
    };
    const conditions = deferredForMs === undefined ? [] : [deferred];
    const occasion = {
      pod: { ...made, inputsHash },
      bot: exampleBot({}, {}, { conditions }),
      turn: turnOf(botClass, UID),
      flatness,
      now: NOW,
    };
    expect(replacementDueInMs(occasion)).toBe(dueInMs);
  },
);
