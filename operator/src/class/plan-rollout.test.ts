import { BotClass, type RolloutStatus, SLOTS } from "@tradingbots/crds";
import { describe, expect, test } from "vitest";
import { classView } from "../class-view.ts";
import { endpointOf } from "../pod-parts.ts";
import { lacksWitness, planRollout } from "./plan-rollout.ts";
import { hashedTemplate } from "./pod-template.ts";
import { NOBODY, type Tally } from "./plan-wave.ts";
import { turnOf } from "./turn.ts";

const NOW = new Date("2026-01-01T12:00:00Z");
const AGO = (seconds: number) => new Date(NOW.getTime() - seconds * 1_000).toISOString();
const RESOURCES = {
  requests: { cpu: "10m", memory: "96Mi" },
  limits: { memory: "192Mi" },
};
const good = { image: "bot:1", resources: RESOURCES, endpoints: [] };
const next = { image: "bot:2", resources: RESOURCES, endpoints: [] };

function classWith(rollout: RolloutStatus | undefined, spec: object = {}) {
  return classView(
    BotClass.schema.parse({
      apiVersion: "tradingbots.dev/v1alpha1",
      kind: "BotClass",
      metadata: {
        name: "free",
        uid: "u",
        resourceVersion: "1",
        generation: 2,
        creationTimestamp: AGO(9_999),
      },
      spec: { image: "bot:2", ...spec },
      status: rollout === undefined ? {} : { rollout },
    }),
  );
}

type Counts = Partial<Omit<Tally, "waiting">> & { readonly waiting?: number };

/** Two hundred bots, none of which has been looked at, but for the changes. */
function tally({ waiting = 200, ...changes }: Counts): Tally {
  return {
    ...NOBODY,
    ...changes,
    waiting: Array.from({ length: waiting }, (_, slot) => slot * 10),
  };
}

const forward: RolloutStatus = {
  stable: good,
  target: next,
  direction: "Forward",
  reach: 100,
  wave: 1,
  waveStartedAt: AGO(100),
};
const back: RolloutStatus = {
  ...forward,
  direction: "Back",
  rejected: { template: next, because: "it crashed" },
};

describe("without a rollout", () => {
  test("the first template that is seen is the good one", () => {
    expect(plan(classWith(undefined))).toEqual({ stable: next });
  });
  test.each([
    ["stay until their turn comes, though nobody remembers what they were made from", 200, 0],
    ["of that very template are no rollout", 0, undefined],
  ])("pods of a class that was deleted and made anew: %s", (_name, waiting, reach) => {
    const first = plan(classWith(undefined), tally({ waiting }));
    expect(first).toMatchObject({ stable: next });
    expect(first.reach).toBe(reach);
  });
  test("the same template moves nothing", () => {
    expect(plan(classWith({ stable: next }))).toEqual({ stable: next });
  });
  test.each([
    ["another image", {}],
    ["other resources", { image: "bot:1", resources: { limits: { memory: "64Mi" } } }],
    ["another place", { image: "bot:1", placement: { nodeSelector: { pool: "b" } } }],
  ])("%s begins one, with nobody in reach", (_name, spec) => {
    expect(plan(classWith({ stable: good }, spec))).toMatchObject({
      stable: good,
      direction: "Forward",
      reach: 0,
      wave: 0,
    });
  });
  test("what was rejected is not tried again", () => {
    const rejected = { template: next, because: "it crashed" };
    expect(plan(classWith({ stable: good, rejected }))).toEqual({ stable: good, rejected });
  });
  test("what was rejected is forgotten once something else is asked for", () => {
    const rejected = { template: next, because: "it crashed" };
    const other = plan(classWith({ stable: good, rejected }, { image: "bot:3" }));
    expect(other.rejected).toBeUndefined();
    expect(other.target?.image).toBe("bot:3");
    expect(plan(classWith({ stable: good, rejected }, { image: "bot:1" }))).toEqual({
      stable: good,
    });
  });
});

describe("a wave", () => {
  const begun = { ...forward, reach: 0, wave: 0 };
  test.each<[string, object, Counts, number]>([
    ["takes as many as may fail", {}, {}, 10],
    ["takes no more than may be unavailable", { maxUnavailablePercent: 2 }, {}, 4],
    ["takes one where none may fail", { failureBudgetPercent: 0 }, {}, 1],
    [
      "leaves room for those that wait for their position",
      { failureBudgetPercent: 50 },
      { deferred: 12 },
      9,
    ],
    ["leaves room for those that failed before", {}, { failed: 7, updated: 1 }, 3],
    ["leaves room for those whom the cluster gives no pod", {}, { refused: 13, updated: 1 }, 8],
  ])("%s", (...[, rollout, changes, size]) => {
    const wave = plan(classWith(begun, { rollout }), tally({ ...changes, waiting: 200 }));
    expect(wave).toMatchObject({ wave: 1, waveStartedAt: "2026-01-01T12:00:00Z" });
    expect(wave.reach).toBe((size - 1) * 10 + 1);
  });
  test("that is the last has everybody in reach, also bots to come", () => {
    expect(plan(classWith(begun), tally({ waiting: 3, updated: 197 })).reach).toBe(SLOTS);
  });
  test("does not begin while the class is paused", () => {
    expect(plan(classWith(begun, { rollout: { paused: true } }), tally({}))).toMatchObject({
      reach: 0,
      wave: 0,
    });
  });
  test("is counted while its bots are on their way", () => {
    const counted = plan(classWith(forward), tally({ updated: 4, moving: 6, waiting: 190 }));
    expect(counted).toEqual({
      ...forward,
      bots: 200,
      updated: 4,
      moving: 6,
      deferred: 0,
      failed: 0,
    });
  });
  test("that is done soaks", () => {
    const settled = plan(classWith(forward), tally({ updated: 10, waiting: 190 }));
    expect(settled).toMatchObject({ wave: 1, reach: 100, settledAt: "2026-01-01T12:00:00Z" });
  });
  test.each([
    ["is followed by none before its soak is over", 59, 1],
    ["is followed by the next after its soak", 60, 2],
  ])("%s", (_name, seconds, wave) => {
    const soaking = { ...forward, settledAt: AGO(seconds) };
    const after = plan(classWith(soaking), tally({ updated: 10, waiting: 190 }));
    expect(after.wave).toBe(wave);
    expect(after.settledAt === undefined).toBe(wave === 2);
  });
  test("waits for places that deferred bots hold", () => {
    const soaked = { ...forward, settledAt: AGO(60) };
    expect(plan(classWith(soaked), tally({ deferred: 20, waiting: 180 })).wave).toBe(1);
  });
});

describe("the end", () => {
  const last = { ...forward, reach: SLOTS, settledAt: AGO(60), updated: 200 };
  test("comes when everybody has it and the soak is over", () => {
    expect(plan(classWith(last), tally({ updated: 200, waiting: 0 }))).toEqual({ stable: next });
  });
  test("waits for deferred bots", () => {
    expect(plan(classWith(last), tally({ updated: 199, deferred: 1, waiting: 0 })).target).toEqual(
      next,
    );
  });
  test("does not wait for bots that something else holds", () => {
    expect(plan(classWith(last), tally({ updated: 190, held: 10, waiting: 0 }))).toEqual({
      stable: next,
    });
  });
  test("does not come while nothing runs but what failed before", () => {
    const broken = tally({ unproven: 3, waiting: 0 });
    expect(plan(classWith(last), broken).target).toEqual(next);
    const shown = tally({ unproven: 2, updated: 1, waiting: 0 });
    expect(plan(classWith(last), shown)).toEqual({ stable: next });
  });
  test("comes at once where no bot ever had a pod", () => {
    const empty = tally({ waiting: 0 });
    const all = plan(classWith({ ...forward, reach: 0, wave: 0 }), empty);
    expect(all.reach).toBe(SLOTS);
    expect(plan(classWith(all), empty)).toEqual({ stable: next });
  });
});

describe("where all bots rest", () => {
  const resting = tally({ waiting: 0, resting: 9 });
  const begun = plan(classWith({ ...forward, reach: 0, wave: 0, settledAt: AGO(9) }), resting);
  const untried = { ...plan(classWith(begun), resting), settledAt: AGO(9_999) };

  test("a template is in everybody's reach, and not the good one", () => {
    expect(untried).toMatchObject({ stable: good, target: next, reach: SLOTS });
    expect(lacksWitness(begun)).toBe(false);
    expect(lacksWitness(untried)).toBe(true);
    expect(plan(classWith(untried), resting)).toEqual(untried);
  });
  test("a bad one goes back by itself when the first bots start", () => {
    const crashed = tally({ waiting: 0, failed: 5, resting: 4 });
    expect(plan(classWith(untried), crashed)).toMatchObject({
      direction: "Back",
      rejected: { template: next },
    });
  });
  test.each<[string, readonly Counts[]]>([
    ["with one", [{ updated: 1 }]],
    ["with two, one after the other", [{ moving: 2 }, { updated: 1, moving: 1 }, { updated: 2 }]],
  ])("the soak begins %s that runs", (_name, steps) => {
    const last = steps.reduce<RolloutStatus>(
      (rollout, counts) => plan(classWith(rollout), tally({ waiting: 0, ...counts })),
      untried,
    );
    expect(last).toMatchObject({ stable: good, settledAt: "2026-01-01T12:00:00Z" });
    const soaked = { ...last, settledAt: AGO(60) };
    expect(plan(classWith(soaked), tally({ waiting: 0, updated: 1 }))).toEqual({ stable: next });
  });
  test("bots without a working key, or refused by the cluster, show nothing either", () => {
    const kept = tally({ waiting: 0, held: 3, refused: 2 });
    expect(plan(classWith(untried), kept).stable).toEqual(good);
  });
});

describe("a class that was made anew", () => {
  const anew: RolloutStatus = { ...forward, stable: next, reach: 0, wave: 0 };
  test("brings its template in waves", () => {
    expect(plan(classWith(anew), tally({}))).toMatchObject({ wave: 1, reach: 91 });
    const last = { ...anew, reach: SLOTS, wave: 9, settledAt: AGO(60) };
    expect(plan(classWith(last), tally({ updated: 200, waiting: 0 }))).toEqual({ stable: next });
  });
  test("has no way back: when the budget is used up it stands still", () => {
    const failed = plan(classWith(anew), tally({ failed: 12, updated: 30 }));
    expect(failed).toMatchObject({ direction: "Forward", wave: 0 });
    expect(failed.rejected).toBeUndefined();
  });
  test("takes another template in its stead, and in waves", () => {
    const other = plan(classWith({ ...anew, reach: 100 }, { image: "bot:3" }), tally({}));
    expect(other).toMatchObject({ stable: other.target, target: { image: "bot:3" }, reach: 0 });
  });
});

describe("a bad template", () => {
  test.each<[string, Counts]>([
    ["when the budget is used up", { failed: 10, updated: 30 }],
    ["when all of the first wave fail", { failed: 4 }],
  ])("is taken back %s", (_name, changes) => {
    const trouble = "It crashes.";
    const turned = plan(classWith(forward), tally({ ...changes, trouble, waiting: 160 }));
    expect(turned).toMatchObject({ direction: "Back", reach: 100, rejected: { template: next } });
    expect(turned.rejected?.because).toMatch(
      /^\d+ of \d+ bots failed with image bot:2. It crashes.$/,
    );
  });
  test("is taken back although the class is paused", () => {
    const paused = classWith(forward, { rollout: { paused: true } });
    expect(plan(paused, tally({ failed: 10 })).direction).toBe("Back");
  });
  test.each<[string, Counts]>([
    ["while the budget lasts", { failed: 9, updated: 1 }],
    ["while it is not known how the first wave ends", { failed: 4, moving: 6 }],
  ])("goes on %s", (_name, changes) => {
    expect(plan(classWith(forward), tally(changes)).direction).toBe("Forward");
  });
  test("goes from healthy bots as fast as availability allows", () => {
    const some = plan(classWith(back), tally({ waiting: 30, updated: 160, moving: 10 }));
    expect(some).toMatchObject({ direction: "Back", wave: 2 });
    expect(some.reach).toBe(200); // ten places: the last ten of slots 0, 10, … 290
    expect(plan(classWith(back), tally({ waiting: 5, updated: 195 })).reach).toBe(0);
  });
  test("is remembered when the last bot is back", () => {
    expect(plan(classWith(back), tally({ updated: 200, waiting: 0 }))).toEqual({
      stable: good,
      rejected: back.rejected,
    });
  });
});

describe("a change of mind", () => {
  test("back to the good one is a way back without a rejection", () => {
    const turned = plan(classWith(forward, { image: "bot:1" }), tally({ updated: 10 }));
    expect(turned).toMatchObject({ direction: "Back" });
    expect(turned.rejected).toBeUndefined();
    expect(plan(classWith({ ...turned }, { image: "bot:1" }), tally({ waiting: 0 }))).toEqual({
      stable: good,
    });
  });
  test("and forth again goes on from where it stands", () => {
    expect(plan(classWith({ ...back, rejected: undefined }), tally({}))).toMatchObject({
      direction: "Forward",
      reach: 100,
    });
  });
  test("to a third template begins anew from the good one", () => {
    expect(plan(classWith(forward, { image: "bot:3" }), tally({}))).toMatchObject({
      stable: good,
      target: { image: "bot:3" },
      reach: 0,
    });
    expect(plan(classWith(back, { image: "bot:3" }), tally({})).direction).toBe("Forward");
  });
});

describe("a status of an operator that wrote no addresses, of a class that has some", () => {
  const endpoint = { restUrl: "http://simulator", websocketUrl: "ws://simulator" };
  const endpoints = [{ exchange: "bybit" as const, ...endpoint }];
  const oldGood = { image: "bot:1", resources: RESOURCES };
  const oldNext = { image: "bot:2", resources: RESOURCES };
  const old = { ...forward, stable: oldGood, target: oldNext };
  const with2 = { endpoints };
  const with1 = { image: "bot:1", endpoints };

  test.each<[string, RolloutStatus]>([
    ["forth", old],
    ["back", { ...old, direction: "Back" }],
    ["at rest", { stable: oldGood }],
  ])("leads no bot to the public address: %s", (_name, status) => {
    for (const slots of [0, 50, SLOTS]) {
      const botClass = classWith({ ...status, reach: slots }, with2);
      const { template } = turnOf(botClass, "some uid");
      expect(endpointOf(template, "bybit")).toEqual(endpoint);
    }
  });
  test("keeps the hash of the pods that were made from it", () => {
    const { rollout } = classWith(old, with2);
    const hashes = [good, next].map((template) => hashedTemplate(template).hash);
    expect([rollout.stable.hash, rollout.target?.hash]).toEqual(hashes);
  });
  test("goes on, forth and back", () => {
    expect(plan(classWith(old, with2), tally({ updated: 10 }))).toMatchObject({
      target: oldNext,
      direction: "Forward",
      reach: 100,
    });
    expect(plan(classWith(old, with1), tally({ updated: 10 }))).toMatchObject({
      target: oldNext,
      direction: "Back",
    });
  });
  test("does not try again what was rejected", () => {
    const rejected = { template: oldNext, because: "it crashed" };
    const rest = { stable: oldGood, rejected };
    expect(plan(classWith(rest, with2))).toEqual(rest);
    const turned = { ...old, direction: "Back", rejected } as const;
    expect(plan(classWith(turned, with2), tally({})).direction).toBe("Back");
  });
  test("at rest has its addresses written down by a rollout in waves, which comes to its end", () => {
    const begun = plan(classWith({ stable: oldGood }, with1));
    expect(begun).toMatchObject({ stable: oldGood, target: { ...oldGood, endpoints }, reach: 0 });
    const wave = plan(classWith(begun, with1), tally({}));
    expect(wave).toMatchObject({ direction: "Forward", wave: 1 });
    const last = { ...wave, reach: SLOTS, settledAt: AGO(60), updated: 200 };
    const done = plan(classWith(last, with1), tally({ updated: 200, waiting: 0 }));
    expect(done).toEqual({ stable: { ...oldGood, endpoints } });
    expect(plan(classWith(done, with1))).toEqual(done);
  });
  test("and of one that has none is completed, so that its first addresses come in waves", () => {
    const completed = plan(classWith({ stable: oldGood }, { image: "bot:1" }));
    expect(completed).toEqual({ stable: good });
    const first = classWith(plan(classWith(completed, with1)), with1);
    expect(endpointOf(turnOf(first, "some uid").template, "bybit")).toBeNull();
  });
});

function plan(botClass: ReturnType<typeof classWith>, counted?: Tally): RolloutStatus {
  const rollout = planRollout({ botClass, tally: counted, now: NOW });
  // As the API server stores it: without fields that are undefined.
  const stored = BotClass.status.parse(JSON.parse(JSON.stringify({ rollout }))).rollout;
  if (stored === undefined) throw new Error("a plan without a rollout");
  return stored;
}
