import { createKubeClient, kubeconfigAccess } from "@tradingbots/kube";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Platform, startPlatform } from "../platform.ts";
import { connectUpstream } from "./proxy.ts";
import { type Outcome, runSeeds } from "./run.ts";

/** A slice of `node operator/test/hostile/main.ts --seeds 1000`. */
const SEEDS = Array.from({ length: 12 }, (_, index) => index + 1);
const SIDE_BY_SIDE = 6;

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform();
});
afterAll(() => platform?.stop());

test("behind a hostile API server bots come to their state, with one pod each, and then nothing is written", async () => {
  const access = await kubeconfigAccess(platform.kubeconfigPath);
  const client = createKubeClient(access);
  const upstream = connectUpstream(access);
  const outcomes: Outcome[] = [];
  await runSeeds(SEEDS, { client, upstream, side: SIDE_BY_SIDE }, (outcome) => {
    outcomes.push(outcome);
  });
  await Promise.all([client.close(), upstream.destroy()]);
  const wrongs = outcomes.flatMap(({ seed, wrongs: each }) => each.map((is) => `${seed}: ${is}`));
  expect(wrongs).toEqual([]);
  const kinds = new Set(outcomes.flatMap(({ faults }) => [...faults.keys()]));
  const pods = outcomes.reduce((sum, { podsSeen }) => sum + podsSeen, 0);
  expect(kinds.size).toBeGreaterThan(8);
  expect(pods).toBeGreaterThan(SEEDS.length);
}, 120_000);
