import { bundleSimulation, type Patch } from "./bundle.ts";
import { PLANTED_BUGS, type PlantedBug } from "./planted-bugs.ts";
import type { Outcome } from "./simulate.ts";
import { runWorker, WORKERS } from "./simulation-worker.ts";

/** A bug that as many seeds do not find is not found. */
const SEEDS_MAX = 1_000;

interface Found {
  readonly bug: PlantedBug;
  readonly seed: number | undefined;
  readonly violation: Outcome["violation"];
}

/**
 * Plants every bug whose name contains `named` in a copy of the product and looks for it, seed by seed; prints the table that is
 * in ARCHITECTURE.md. True when there was one and each was found. A seed counts only when the product itself passes it.
 */
export async function checkPlantedBugs(named: string): Promise<boolean> {
  const sound = await bundleSimulation("sound", []);
  const bugs = PLANTED_BUGS.filter(({ name }) => name.includes(named));
  const waiting = [...bugs.entries()];
  const found = new Map<PlantedBug, Found>();
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, bug] = next;
      const result = await look(bug, `planted-${index + 1}`, sound);
      found.set(bug, result);
      console.log(lineOf(result));
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, work));
  const results = bugs.flatMap((bug) => found.get(bug) ?? []);
  console.log(`\n${tableOf(results)}\n`);
  const missed = results.filter(({ seed }) => seed === undefined).length;
  console.log(`${results.length - missed} planted bugs found, ${missed} missed`);
  return results.length > 0 && missed === 0;
}

async function look(bug: PlantedBug, name: string, sound: string): Promise<Found> {
  const faulty = await bundleSimulation(name, bug.patches);
  for (let from = 1; from <= SEEDS_MAX;) {
    const broken = await firstBroken(faulty, from, SEEDS_MAX);
    if (broken === undefined) break;
    const { seed, violation } = broken;
    // A copy that does not even run has not been caught at anything.
    const isCaught =
      bug.by === undefined ? violation?.invariant !== "Throws" : violation?.invariant === bug.by;
    if (isCaught && (await firstBroken(sound, seed, seed)) === undefined)
      return { bug, seed, violation };
    from = seed + 1;
  }
  return { bug, seed: undefined, violation: undefined };
}

async function firstBroken(
  bundle: string,
  from: number,
  until: number,
): Promise<Outcome | undefined> {
  const seeds = Array.from({ length: until - from + 1 }, (_, index) => from + index);
  let broken: Outcome | undefined;
  await runWorker(bundle, { seeds, stopAtFirst: true, verbose: false }, (outcome) => {
    if (outcome.violation !== undefined) broken = outcome;
  });
  return broken;
}

function lineOf({ bug, seed, violation }: Found): string {
  if (seed === undefined) return `MISSED: ${bug.name}`;
  return `seed ${seed}: ${bug.name}: ${violation?.invariant}: ${violation?.message.split("\n")[0]}`;
}

function tableOf(results: readonly Found[]): string {
  const rows = results.map(({ bug, seed, violation }) => {
    const modules = bug.patches.map(({ module }: Patch) => `\`${module.replace(/^.*\//, "")}\``);
    const by = violation === undefined ? "missed" : `\`${violation.invariant}\``;
    return `| ${bug.name} | ${[...new Set(modules)].join(", ")} | ${by} | ${seed ?? "—"} |`;
  });
  return [
    "| planted bug | in | found by | seeds needed |",
    "| --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
}
