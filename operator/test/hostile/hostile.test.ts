import { afterAll, beforeAll, expect, test } from "vitest";
import { type Outcome, runSeeds, startBattlefield } from "./run.ts";

/** A slice of `node operator/test/hostile/main.ts --seeds 1000`. */
const SEEDS = Array.from({ length: 12 }, (_, index) => index + 1);
const SIDE_BY_SIDE = 6;

let field: Awaited<ReturnType<typeof startBattlefield>>;
beforeAll(async () => {
  field = await startBattlefield();
});
afterAll(() => field?.stop());

test("behind a hostile API server bots come to their state, with one pod each, and then nothing is written", async () => {
  const outcomes: Outcome[] = [];
  await runSeeds(SEEDS, { ...field, side: SIDE_BY_SIDE }, (outcome) => {
    outcomes.push(outcome);
  });
  const wrongs = outcomes.flatMap(({ seed, wrongs: each }) => each.map((is) => `${seed}: ${is}`));
  expect(wrongs).toEqual([]);
  const kinds = new Set(outcomes.flatMap(({ faults }) => [...faults.keys()]));
  const pods = outcomes.reduce((sum, { podsSeen }) => sum + podsSeen, 0);
  expect(kinds.size).toBeGreaterThan(8);
  expect(pods).toBeGreaterThan(SEEDS.length);
}, 120_000);
