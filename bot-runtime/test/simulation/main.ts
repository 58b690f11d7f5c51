import { parseArgs } from "node:util";
import { bundleSimulation } from "./bundle.ts";
import type { Outcome } from "./simulate.ts";
import { checkPlantedBugs } from "./planted-check.ts";
import { runWorker, WORKERS } from "./simulation-worker.ts";

const PROGRESS_EVERY = 200;
const FAILURES_SHOWN = 20;

/**
 *     node bot-runtime/test/simulation/main.ts --seeds 2000           all seeds from 1 on
 *     node bot-runtime/test/simulation/main.ts --seed 17 --verbose    one seed again, with everything that happens
 *     node bot-runtime/test/simulation/main.ts --planted              every planted bug must be found
 *     node bot-runtime/test/simulation/main.ts --planted --bug TEXT   only those whose name contains it
 */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: "2000" },
      seed: { type: "string" },
      verbose: { type: "boolean", default: false },
      planted: { type: "boolean", default: false },
      bug: { type: "string", default: "" },
    },
  });
  if (values.planted) {
    process.exitCode = (await checkPlantedBugs(values.bug)) ? 0 : 1;
    return;
  }
  const seeds =
    values.seed === undefined
      ? Array.from({ length: Number(values.seeds) }, (_, index) => index + 1)
      : [Number(values.seed)];
  process.exitCode = (await runSeeds(seeds, values.verbose)) ? 0 : 1;
}

async function runSeeds(seeds: readonly number[], verbose: boolean): Promise<boolean> {
  const startedMs = performance.now();
  const bundle = await bundleSimulation("simulation", []);
  const outcomes: Outcome[] = [];
  const hear = (outcome: Outcome): void => {
    outcomes.push(outcome);
    if (outcomes.length % PROGRESS_EVERY === 0) console.log(`${outcomes.length} seeds…`);
  };
  const shares = Array.from({ length: WORKERS }, (_, worker) =>
    seeds.filter((_seed, index) => index % WORKERS === worker),
  );
  await Promise.all(
    shares
      .filter((share) => share.length > 0)
      .map((share) => runWorker(bundle, { seeds: share, stopAtFirst: false, verbose }, hear)),
  );
  const failed = outcomes.filter(({ violation }) => violation !== undefined);
  for (const { seed, violation } of failed
    .toSorted((a, b) => a.seed - b.seed)
    .slice(0, FAILURES_SHOWN)) {
    console.log(`seed ${seed}: ${violation?.invariant}: ${violation?.message}`);
    console.log(`  node bot-runtime/test/simulation/main.ts --seed ${seed} --verbose`);
  }
  const broken = Object.groupBy(failed, ({ violation }) => violation?.invariant ?? "");
  for (const [invariant, found = []] of Object.entries(broken))
    console.log(
      `${invariant}: broken by ${found.length}, the first is seed ${Math.min(...found.map(({ seed }) => seed))}`,
    );
  console.log(summary(outcomes, performance.now() - startedMs));
  console.log(`${outcomes.length - failed.length} passed, ${failed.length} failed`);
  return failed.length === 0 && outcomes.length === seeds.length && isBusy(outcomes);
}

/**
 * Runs in which the bot hardly trades prove nothing: one opening order a seed is half of what they have now. And half of the seeds
 * have to show two living pods of which one is cut off, which is what two thousand are asked for.
 */
function isBusy(outcomes: readonly Outcome[]): boolean {
  if (outcomes.length < PROGRESS_EVERY) return true;
  const opened = outcomes.reduce((sum, { openingOrders }) => sum + openingOrders, 0);
  const partitioned = outcomes.filter(({ pairs }) => pairs.partitioned).length;
  if (opened >= outcomes.length && partitioned >= outcomes.length / 2) return true;
  console.log(
    `only ${opened} opening orders and ${partitioned} partitions between living pods: too few to prove anything`,
  );
  return false;
}

function summary(outcomes: readonly Outcome[], tookMs: number): string {
  const sum = (of: (outcome: Outcome) => number): number =>
    outcomes.reduce((total, outcome) => total + of(outcome), 0);
  const count = (is: (outcome: Outcome) => boolean): number => outcomes.filter(is).length;
  const parts = [
    `${count(({ pairs }) => pairs.alive)} seeds with two living pods`,
    `${count(({ pairs }) => pairs.partitioned)} of them with one cut off from exchange or journal`,
    `${sum(({ openingOrders }) => openingOrders)} opening orders`,
    `${sum(({ exits }) => exits)} exits`,
    `${sum(({ executions }) => executions)} executions`,
    `${(sum(({ virtualMs }) => virtualMs) / 3_600_000).toFixed(1)} h of virtual time in ${(tookMs / 1_000).toFixed(1)} s`,
  ];
  return parts.join(", ");
}

await main();
