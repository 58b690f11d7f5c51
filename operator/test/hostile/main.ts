import { parseArgs } from "node:util";
import { type Outcome, runSeeds, startBattlefield } from "./run.ts";

/**
 * The operator against a hostile API server, which stands in front of a real one: `--seeds 1000` runs seeds 1 to 1,000 (or `--from` another), `--seed N` one of
 * them again. The seed decides what happens to the n-th request of each kind and what people do; how processes interleave it
 * does not decide.
 */
const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string", default: "100" },
    from: { type: "string", default: "1" },
    side: { type: "string", default: "8" },
  },
});
const seeds =
  values.seed === undefined
    ? Array.from({ length: Number(values.seeds) }, (_, index) => index + Number(values.from))
    : [Number(values.seed)];
process.exitCode = await runAll(seeds, Number(values.side));

async function runAll(all: readonly number[], side: number): Promise<number> {
  const startedAt = performance.now();
  const field = await startBattlefield();
  const outcomes: Outcome[] = [];
  await runSeeds(all, { ...field, side }, (outcome) => {
    outcomes.push(outcome);
    for (const wrong of outcome.wrongs) console.log(`seed ${outcome.seed}: ${wrong}`);
    if (outcomes.length % 100 === 0) console.log(`${outcomes.length} runs`);
  });
  await field.stop();
  return summarize(outcomes, performance.now() - startedAt);
}

function summarize(outcomes: readonly Outcome[], durationMs: number): number {
  const counts = new Map<string, number>();
  for (const { faults } of outcomes) {
    for (const [fault, count] of faults) counts.set(fault, (counts.get(fault) ?? 0) + count);
  }
  for (const [fault, count] of [...counts].toSorted(([, a], [, b]) => b - a)) {
    console.log(`${String(count).padStart(7)}  ${fault}`);
  }
  const failed = outcomes.filter(({ wrongs }) => wrongs.length > 0).map(({ seed }) => seed);
  const pods = outcomes.reduce((sum, { podsSeen }) => sum + podsSeen, 0);
  const longest = Math.max(...outcomes.map((outcome) => outcome.durationMs));
  console.log(
    `${outcomes.length} runs, ${pods} pods, ${failed.length} failed, ` +
      `${Math.round(durationMs / 1_000)} s, the longest run ${(longest / 1_000).toFixed(1)} s`,
  );
  if (failed.length > 0)
    console.log(`again: node operator/test/hostile/main.ts --seed ${failed[0]}`);
  return failed.length === 0 ? 0 : 1;
}
