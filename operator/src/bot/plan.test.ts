import { type RolloutStatus, SLOTS } from "@tradingbots/crds";
import { describe, expect, test } from "vitest";
import { hashedTemplate } from "../class/pod-template.ts";
import { ROLLOUT_DEFERRED } from "../class/turn.ts";
import { rolloutView } from "../class-view.ts";
import {
  condition,
  exampleAccount,
  exampleBot,
  exampleClass,
  exampleFacts,
  exampleHalt,
  exampleReport,
  NOW,
  runningFacts,
  VERIFICATION,
} from "./example-facts.ts";
import type { BotFacts } from "./facts.ts";
import { hashOf } from "../pod-view.ts";
import { type BotWrite, planBot } from "./plan.ts";

const NOT_FLAT = { conditions: [condition("Flat", "False", "PositionOpen")] };
const CLOSED = { conditions: [condition("Flat", "True", "Closed")] };
/** Of a pod that has hardly lived. */
const YOUNG = "2026-01-01T11:59:00Z";
/** The time of all example conditions. */
const SINCE = "2026-01-01T00:00:00Z";
const UNKNOWN = {
  conditions: [
    condition("Flat", "False", "PositionOpen"),
    condition("PositionUnknown", "True", "CredentialsRefused"),
  ],
};
const changed = exampleAccount(
  { credentialsVersion: 2 },
  {
    exchangeAccountId: "4711",
    verification: {
      ...VERIFICATION,
      credentialsVersion: 2,
      state: "refused",
      reason: "AccountChanged",
      exchangeAccountId: undefined,
    },
  },
);
const holder = { name: "bot-0", symbol: "BTC/USDT:USDT" };
const paper = { mode: "paper", accountName: undefined };
const endpoint = { restUrl: "http://simulator", websocketUrl: "ws://simulator" };
const elsewhere = {
  ...exampleClass.wanted,
  endpoints: [{ exchange: "bybit" as const, ...endpoint }],
};
const moved = { ...exampleClass, rollout: rolloutView({ stable: elsewhere }) };
/** On the way to the new address, or back from there. */
const moving = (direction: "Forward" | "Back", reach: number) => ({
  ...exampleClass,
  rollout: rolloutView({ stable: exampleClass.wanted, target: elsewhere, direction, reach }),
});
/** A pod that was started live at the exchange itself, holds something and has been told what the plan tells. */
function toldPaused(changes: Partial<BotFacts>): BotFacts {
  const facts = runningFacts(
    { report: { kind: "fresh", latest: exampleReport({ flat: false }) }, ...changes },
    { mode: "live", inputsHash: "of the old pod", isGuarded: true },
  );
  const { config } = planBot(facts);
  const configHash = hashOf(JSON.stringify(config));
  return { ...facts, pod: facts.pod && { ...facts.pod, configHash, toldState: config.state } };
}
/** No pod any more, and the last that was heard of the bot is that it held something. */
function lostWhileOpen(changes: Partial<BotFacts>): BotFacts {
  return { ...toldPaused(changes), pod: undefined };
}
const ended = (succeeded: boolean, secondsAgo: number, message = "") => ({
  end: {
    succeeded,
    message,
    podReason: undefined,
    exitCode: undefined,
    finishedAt: new Date(NOW.getTime() - secondsAgo * 1_000).toISOString(),
  },
});

interface Case {
  readonly name: string;
  readonly facts: BotFacts;
  readonly write?: BotWrite;
  readonly told?: string;
  readonly requeueAfterMs?: number;
}

function check(cases: readonly Case[]): void {
  test.each(cases)("$name: $write", ({ facts, write, told, requeueAfterMs }) => {
    const plan = planBot(facts);
    expect(plan.write).toBe(write);
    expect(plan.requeueAfterMs).toBe(requeueAfterMs);
    expect(plan.told).toBe(told ?? plan.told);
  });
}

const halted = {
  halts: [exampleHalt("h", { action: "Flatten" })],
  report: { kind: "fresh", latest: exampleReport({ halts: ["uid-of-h"] }) },
} as const;
const pausedBefore = { annotations: { "tradingbots.dev/paused-by-halts": "uid-of-h" } };

describe("a Flatten that the bot has carried out", () => {
  check([
    { name: "pauses it", facts: runningFacts(halted), write: "pause-after-halt" },
    {
      name: "pauses it once: a user who starts it again is obeyed",
      facts: runningFacts({ ...halted, bot: exampleBot({}, pausedBefore) }),
    },
    {
      name: "is not carried out while something is open",
      facts: runningFacts(
        {
          ...halted,
          report: { kind: "fresh", latest: exampleReport({ halts: ["uid-of-h"], flat: false }) },
        },
        { isGuarded: true },
      ),
    },
    {
      name: "pauses a bot that was never started, without a pod",
      facts: exampleFacts({ halts: halted.halts }),
      write: "pause-after-halt",
    },
    {
      name: "leaves a Paused bot as it is",
      facts: runningFacts({ ...halted, bot: exampleBot({ state: "Paused" }) }),
    },
    {
      name: "leaves a Stopped bot as it is",
      facts: runningFacts({ ...halted, bot: exampleBot({ state: "Stopped" }) }),
    },
    {
      name: "leaves a Retired bot to its end",
      facts: runningFacts({ ...halted, bot: exampleBot({ state: "Retired" }) }),
    },
    {
      name: "leaves a bot to its deletion",
      facts: runningFacts({
        ...halted,
        bot: exampleBot({}, { deletionTimestamp: "2026-01-01T11:00:00Z" }),
      }),
      write: "update-config",
      told: "Retired",
    },
    {
      name: "that another action than Flatten asked for pauses nothing",
      facts: runningFacts({ ...halted, halts: [exampleHalt("h", { action: "CancelOrders" })] }),
    },
  ]);
});

describe("a bot without a pod", () => {
  check([
    {
      name: "no finalizer yet",
      facts: exampleFacts({ bot: exampleBot({}, { finalizers: [] }) }),
      write: "add-finalizer",
    },
    { name: "Running", facts: exampleFacts(), write: "create-pod", told: "Running" },
    {
      name: "Running after it was closed",
      facts: exampleFacts({ bot: exampleBot({}, {}, CLOSED) }),
      write: "create-pod",
    },
    {
      name: "paper without its service account",
      facts: exampleFacts({ bot: exampleBot(paper), account: undefined, hasServiceAccount: false }),
      write: "create-service-account",
    },
    {
      name: "its account's service account is missing",
      facts: exampleFacts({ hasServiceAccount: false }),
    },
    { name: "Stopped, never run", facts: exampleFacts({ bot: exampleBot({ state: "Stopped" }) }) },
    {
      name: "Stopped, closed",
      facts: exampleFacts({ bot: exampleBot({ state: "Stopped" }, {}, CLOSED) }),
    },
    {
      name: "Stopped, perhaps open: only the bot itself closes",
      facts: exampleFacts({ bot: exampleBot({ state: "Stopped" }, {}, NOT_FLAT) }),
      write: "create-pod",
      told: "Stopped",
    },
    { name: "Paused, never run", facts: exampleFacts({ bot: exampleBot({ state: "Paused" }) }) },
    {
      name: "Paused, perhaps open: the position is managed",
      facts: exampleFacts({ bot: exampleBot({ state: "Paused" }, {}, NOT_FLAT) }),
      write: "create-pod",
      told: "Paused",
    },
    { name: "denied, never run", facts: exampleFacts({ symbolHolder: holder }) },
    {
      name: "denied, perhaps open: the position is managed",
      facts: exampleFacts({ symbolHolder: holder, bot: exampleBot({}, {}, NOT_FLAT) }),
      write: "create-pod",
      told: "Paused",
    },
    {
      name: "a lowered ceiling blocks no stop",
      facts: exampleFacts({
        olderBotsOfUser: 99,
        bot: exampleBot({ state: "Stopped" }, {}, NOT_FLAT),
      }),
      write: "create-pod",
    },
    {
      name: "Stopped without a class: no image, no pod",
      facts: exampleFacts({
        botClass: undefined,
        bot: exampleBot({ state: "Stopped" }, {}, NOT_FLAT),
      }),
    },
    {
      name: "key refused: no start",
      facts: exampleFacts({
        bot: exampleBot({}, {}, NOT_FLAT),
        account: exampleAccount({}, { verification: { ...VERIFICATION, state: "refused" } }),
      }),
      told: "Running",
    },
    {
      name: "key of another account: not even a pod that closes, for it would find nothing there",
      facts: exampleFacts({
        bot: exampleBot({ state: "Stopped" }, {}, NOT_FLAT),
        account: changed,
      }),
    },
    {
      name: "new key not checked yet: not even a pod that closes",
      facts: exampleFacts({
        bot: exampleBot({ state: "Stopped" }, {}, NOT_FLAT),
        account: exampleAccount({ credentialsVersion: 2 }),
      }),
    },
  ]);
});

describe("a bot with a pod", () => {
  check([
    { name: "in order", facts: runningFacts(), told: "Running" },
    {
      name: "another configuration",
      facts: runningFacts({}, { configHash: "x" }),
      write: "update-config",
    },
    { name: "other inputs", facts: runningFacts({}, { inputsHash: "x" }), write: "delete-pod" },
    {
      name: "being deleted: nothing, until it is gone",
      facts: runningFacts({}, { isDeleting: true, inputsHash: "x" }),
    },
    {
      name: "being deleted, and its machine has 20 s left to say that it is gone",
      facts: runningFacts({}, { isDeleting: true, endsBy: "2026-01-01T11:59:50Z" }),
      requeueAfterMs: 20_000,
    },
    {
      name: "being deleted, and its machine says nothing",
      facts: runningFacts({}, { isDeleting: true, endsBy: "2026-01-01T11:59:30Z" }),
      write: "release-lost-pod",
    },
    {
      name: "somebody else's",
      facts: runningFacts({}, { ownerUid: "somebody", botUid: "somebody" }),
      requeueAfterMs: 30_000,
    },
    {
      name: "of an earlier bot of its name, which left it behind: somebody else's",
      facts: runningFacts({}, { ownerUid: undefined, botUid: "uid-of-bot-1-before" }),
      requeueAfterMs: 30_000,
    },
    {
      name: "without an owner, and told to trade as this bot: its own",
      facts: runningFacts({ symbolHolder: holder }, { ownerUid: undefined }),
      write: "update-config",
      told: "Paused",
    },
    {
      name: "of its owner, with a configuration that somebody spoilt: its own",
      facts: runningFacts({}, { botUid: undefined, configHash: "x" }),
      write: "update-config",
    },
    {
      name: "denied meanwhile: told to open nothing",
      facts: runningFacts({ symbolHolder: holder }),
      write: "update-config",
      told: "Paused",
    },
    {
      name: "denied: not replaced, for no other may follow",
      facts: runningFacts({ olderBotsOfUser: 99 }, { inputsHash: "x" }),
      write: "update-config",
    },
    {
      name: "class gone: told to open nothing, left as it is",
      facts: { ...runningFacts(), botClass: undefined },
      write: "update-config",
      told: "Paused",
    },
    {
      name: "new key not checked yet: left as it is",
      facts: {
        ...runningFacts(),
        account: exampleAccount({ credentialsVersion: 2 }),
      },
      told: "Running",
    },
    {
      name: "new key of another account: left as it is",
      facts: { ...runningFacts(), account: changed },
      told: "Running",
    },
    {
      name: "new key of another account, Stopped, with a new image: not replaced",
      facts: {
        ...runningFacts(
          { bot: exampleBot({ state: "Stopped" }), report: { kind: "none" } },
          { inputsHash: "x" },
        ),
        account: changed,
      },
      told: "Stopped",
    },
    {
      name: "another address of the exchange: told to open nothing, and not replaced",
      facts: runningFacts({ botClass: moved }),
      write: "update-config",
      told: "Paused",
    },
    {
      name: "another address and a new image, told already: not replaced before it has ended",
      facts: toldPaused({
        botClass: {
          ...exampleClass,
          rollout: rolloutView({ stable: { ...elsewhere, image: "bot:2" } }),
        },
      }),
    },
    {
      name: "another address on its way, before its turn: it goes on trading",
      facts: runningFacts({ botClass: moving("Forward", 0) }),
      told: "Running",
    },
    {
      name: "another address on its way, in its turn: told to open nothing",
      facts: runningFacts({ botClass: moving("Forward", SLOTS) }),
      write: "update-config",
      told: "Paused",
    },
    {
      name: "failing at an address that is taken back: what it has open is there, so it is not replaced",
      facts: runningFacts(
        { botClass: moving("Back", SLOTS) },
        { endpoint, inputsHash: "x.y", trouble: { reason: "CrashLooping", message: "" } },
      ),
      write: "update-config",
      told: "Paused",
    },
    {
      name: "another address, and it ended flat: away at once",
      facts: runningFacts({ botClass: moved }, ended(true, 0, '{"flat":true,"epoch":1}')),
      write: "delete-pod",
    },
    {
      name: "another address, and its pod was lost while something was open: one is made, which looks there and says so",
      facts: lostWhileOpen({ botClass: moved }),
      write: "create-pod",
      told: "Running",
    },
    {
      name: "from live to paper, and its pod was lost while something was open: the same",
      facts: lostWhileOpen({ bot: exampleBot(paper), account: undefined }),
      write: "create-pod",
      told: "Running",
    },
    {
      name: "from live to paper while it closes: not replaced, for only it sees what is open",
      facts: toldPaused({ bot: exampleBot({ ...paper, state: "Stopped" }), account: undefined }),
      told: "Stopped",
    },
    {
      name: "new key verified: replaced",
      facts: {
        ...runningFacts(),
        account: exampleAccount(
          { credentialsVersion: 2 },
          { verification: { ...VERIFICATION, credentialsVersion: 2 } },
        ),
      },
      write: "delete-pod",
    },
    {
      name: "a change of the class that does not concern pods",
      facts: {
        ...runningFacts(),
        botClass: {
          ...exampleClass,
          spec: {
            ...exampleClass.spec,
            ceilings: { ...exampleClass.spec.ceilings, botsPerUser: 9 },
          },
        },
      },
    },
    {
      name: "a halt ends by itself: looked at again then",
      facts: runningFacts({ halts: [exampleHalt("h", { expiresAt: "2026-01-01T12:01:00Z" })] }),
      requeueAfterMs: 60_000,
    },
    {
      name: "ended unasked: made anew after a pause",
      facts: runningFacts({}, ended(true, 3)),
      requeueAfterMs: 7_000,
    },
    {
      name: "ended unasked, pause over",
      facts: runningFacts({}, ended(false, 10)),
      write: "delete-pod",
    },
    {
      name: "ended unasked for the third time: the pause has doubled twice",
      facts: { ...runningFacts({}, { ...ended(false, 10), createdAt: YOUNG }), restarts: 2 },
      requeueAfterMs: 30_000,
    },
    {
      name: "ended unasked once more: the pause has an end",
      facts: { ...runningFacts({}, { ...ended(false, 0), createdAt: YOUNG }), restarts: 99 },
      requeueAfterMs: 300_000,
    },
    {
      name: "ended unasked after it had run for long: counted anew",
      facts: { ...runningFacts({}, ended(false, 0)), restarts: 99 },
      requeueAfterMs: 10_000,
    },
    {
      name: "ended because it was told to: away at once",
      facts: runningFacts({}, { ...ended(true, 0), toldState: "Paused" }),
      write: "delete-pod",
    },
    {
      name: "Stopped, and ended without having had a session: made anew after a pause",
      facts: runningFacts(
        { bot: exampleBot({ state: "Stopped" }) },
        ended(true, 3, '{"flat":true,"epoch":0}'),
      ),
      requeueAfterMs: 7_000,
    },
    {
      name: "Stopped, and its pod was evicted: made anew at once",
      facts: runningFacts({ bot: exampleBot({ state: "Stopped" }) }, ended(false, 0)),
      write: "delete-pod",
    },
    {
      name: "Stopped, perhaps open, and its pods fail one after the other: made anew after a pause",
      facts: {
        ...runningFacts(
          { bot: exampleBot({ state: "Stopped" }) },
          { ...ended(false, 10), createdAt: YOUNG },
        ),
        restarts: 5,
      },
      requeueAfterMs: 290_000,
    },
    {
      name: "Stopped, perhaps open, and the pause is over",
      facts: {
        ...runningFacts(
          { bot: exampleBot({ state: "Stopped" }) },
          { ...ended(false, 20), createdAt: YOUNG },
        ),
        restarts: 1,
      },
      write: "delete-pod",
    },
    {
      name: "Stopped, given up, and its pods fail: away at once, for none follows",
      facts: {
        ...runningFacts(
          { bot: exampleBot({ state: "Stopped", abandonPosition: SINCE }, {}, UNKNOWN) },
          { ...ended(false, 0), createdAt: YOUNG },
        ),
        restarts: 5,
      },
      write: "delete-pod",
    },
    {
      name: "Stopped and flat, about to end by itself: given ten seconds",
      facts: runningFacts({
        bot: exampleBot({ state: "Stopped" }),
        report: { kind: "fresh", latest: exampleReport({ state: "Stopped" }) },
      }),
      requeueAfterMs: 10_000,
    },
    {
      name: "Stopped and flat, and did not end",
      facts: runningFacts({
        bot: exampleBot({ state: "Stopped" }),
        report: { kind: "fresh", latest: exampleReport({ state: "Stopped" }, 10_000) },
      }),
      write: "delete-pod",
    },
  ]);
});

/** Its position keeps its pod since then; nothing was open when it was last looked at. */
function deferredSince(lastTransitionTime: string) {
  const flat = condition("Flat", "True", "NothingOpen");
  const deferred = { ...condition(ROLLOUT_DEFERRED, "True", "PositionOpen"), lastTransitionTime };
  return { bot: exampleBot({}, {}, { conditions: [flat, deferred] }) };
}

describe("a bot whose turn has come in a rollout", () => {
  const rollout: RolloutStatus = {
    stable: exampleClass.wanted,
    target: hashedTemplate({ ...exampleClass.wanted, image: "bot:2" }),
    direction: "Forward",
    reach: SLOTS,
    wave: 1,
    waveStartedAt: "2026-01-01T12:00:00Z",
  };
  const rolling = {
    botClass: { ...exampleClass, status: { rollout }, rollout: rolloutView(rollout) },
  };
  const holding = { report: { kind: "fresh", latest: exampleReport({ flat: false }) } } as const;
  const unheard = { report: { kind: "unheard" } } as const;
  const half = deferredSince("2026-01-01T11:30:00Z");
  const over = deferredSince("2026-01-01T11:00:00Z");
  check([
    { name: "nothing is open", facts: runningFacts(rolling), write: "delete-pod" },
    {
      name: "something is open, and of the hour half is over: looked at again when it ends",
      facts: runningFacts({ ...rolling, ...holding, ...half }, { isGuarded: true }),
      requeueAfterMs: 1_800_000,
    },
    {
      name: "something is open, and the hour is over",
      facts: runningFacts({ ...rolling, ...holding, ...over }, { isGuarded: true }),
      write: "delete-pod",
    },
    {
      name: "nothing was open when the journal fell silent: looked at again soon",
      facts: runningFacts({ ...rolling, ...unheard, ...half }),
      requeueAfterMs: 10_000,
    },
    {
      name: "the journal is silent, and the hour is over",
      facts: runningFacts({ ...rolling, ...unheard, ...over }),
      write: "delete-pod",
    },
  ]);
});

describe("a machine that is being emptied", () => {
  const holding = { report: { kind: "fresh", latest: exampleReport({ flat: false }) } } as const;
  const on = (since: string | undefined) => ({
    ...holding,
    drainingNode: "node-1",
    bot: exampleBot(
      {},
      {},
      since === undefined
        ? {}
        : {
            conditions: [
              { ...condition("Draining", "True", "PositionOpen"), lastTransitionTime: since },
            ],
          },
    ),
  });
  check([
    { name: "not yet; a position opens", facts: runningFacts(holding), write: "guard-pod" },
    {
      name: "not yet; the position is known to be covered",
      facts: runningFacts(holding, { isGuarded: true }),
    },
    {
      name: "not yet; the position is closed",
      facts: runningFacts({}, { isGuarded: true }),
      write: "guard-pod",
    },
    {
      name: "not yet; nobody has heard of the position for a while: it stays covered",
      facts: runningFacts({ report: { kind: "none" } }, { isGuarded: true }),
    },
    {
      name: "the position keeps its pod there for ten minutes",
      facts: runningFacts(on(undefined), { isGuarded: true }),
      requeueAfterMs: 600_000,
    },
    {
      name: "of the ten minutes nine are over",
      facts: runningFacts(on("2026-01-01T11:51:00Z"), { isGuarded: true }),
      requeueAfterMs: 60_000,
    },
    {
      name: "the ten minutes are over",
      facts: runningFacts(on("2026-01-01T11:50:00Z"), { isGuarded: true }),
      write: "guard-pod",
    },
    { name: "what was free to go stays so", facts: runningFacts(on(undefined)) },
    {
      name: "nothing is open",
      facts: runningFacts({ drainingNode: "node-1" }, { isGuarded: true }),
      write: "guard-pod",
    },
  ]);
});

describe("the end of a bot", () => {
  const deleting = { deletionTimestamp: "2026-01-01T11:00:00Z" };
  const retired = { state: "Retired" };
  check([
    {
      name: "Retired, never run",
      facts: exampleFacts({ bot: exampleBot(retired) }),
      write: "delete-bot",
    },
    {
      name: "deleted, closed",
      facts: exampleFacts({ bot: exampleBot({}, deleting, CLOSED) }),
      write: "remove-finalizer",
    },
    {
      name: "deleted, perhaps open",
      facts: exampleFacts({ bot: exampleBot({}, deleting, NOT_FLAT) }),
      write: "create-pod",
      told: "Retired",
    },
    {
      name: "Retired, its pod ended flat",
      facts: runningFacts({ bot: exampleBot(retired) }, ended(true, 0, '{"flat":true,"epoch":1}')),
      write: "delete-pod",
    },
    {
      name: "deleted, held by somebody else's finalizer only",
      facts: exampleFacts({ bot: exampleBot({}, { ...deleting, finalizers: ["x/y"] }, NOT_FLAT) }),
    },
    {
      name: "deleted, closed, and its pod's machine is dead",
      facts: runningFacts(
        { bot: exampleBot({}, deleting), report: { kind: "none" } },
        {
          ...ended(true, 3_600, '{"flat":true,"epoch":1}'),
          isDeleting: true,
          endsBy: "2026-01-01T11:30:00Z",
        },
      ),
      write: "release-lost-pod",
    },
    {
      name: "deleted, the position given up: the pod that cannot look goes first",
      facts: runningFacts({ bot: exampleBot({ abandonPosition: SINCE }, deleting, UNKNOWN) }),
      write: "delete-pod",
    },
    {
      name: "deleted, the position given up, no pod",
      facts: exampleFacts({ bot: exampleBot({ abandonPosition: SINCE }, deleting, UNKNOWN) }),
      write: "remove-finalizer",
    },
    {
      name: "deleted, an earlier position given up: that does not count",
      facts: exampleFacts({
        bot: exampleBot({ abandonPosition: "2025-01-01T00:00:00Z" }, deleting, UNKNOWN),
      }),
      write: "create-pod",
    },
    {
      name: "its account is retired: the bot ends with it",
      facts: runningFacts({ account: exampleAccount({ state: "Retired" }) }),
      write: "update-config",
      told: "Retired",
    },
  ]);
});

test.each<{ name: string; pod: object; plan: object }>([
  {
    name: "is kept until it has been well for ten minutes",
    pod: { recoveredAt: "2026-01-01T11:51:00Z" },
    plan: { write: undefined, requeueAfterMs: 60_000 },
  },
  {
    name: "goes then: what ails the pod from now on is a sign of its template",
    pod: { recoveredAt: "2026-01-01T11:50:00Z" },
    plan: { write: "forget-failure" },
  },
  {
    name: "stays with a pod whose process ended again and again",
    pod: { recoveredAt: "2026-01-01T11:00:00Z", restarts: 2 },
    plan: { write: undefined, requeueAfterMs: undefined },
  },
  {
    name: "stays while the pod is not ready",
    pod: { isReady: false },
    plan: { write: undefined, requeueAfterMs: undefined },
  },
])("the mark of a pod that failed before $name", ({ pod, plan }) => {
  const { write, requeueAfterMs } = planBot(runningFacts({}, { wasUnwell: true, ...pod }));
  expect({ write, requeueAfterMs }).toMatchObject(plan);
});
