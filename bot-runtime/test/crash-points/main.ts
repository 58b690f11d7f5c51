import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { caseNamed, enumerateCases, runCase, type Verdict } from "./case.ts";
import { type Platform, startPlatform } from "./platform.ts";
import { measureRecoveries } from "./recovery.ts";
import { runTwoPods, TWO_PODS_CASES } from "./two-pods.ts";

const usage = `Crashes at every step of the order path, and two pods on one account with the network cut between them: the bot as a
process, the exchange simulator and the real journal.

  --list               print the cases and their count
  --case NAME          replay one case and print what its processes said
  --only TEXT          cases whose name contains TEXT
  --concurrency 24     cases at once; most of their time is waiting
  --recoveries N       no case: how long N killed bots and N new pods need until their position is protected
`;
const { values } = parseArgs({
  options: {
    list: { type: "boolean", default: false },
    case: { type: "string" },
    only: { type: "string", default: "" },
    concurrency: { type: "string", default: "24" },
    recoveries: { type: "string" },
    help: { type: "boolean", default: false },
  },
});

/** What was said in cases that failed. */
const STORIES = join(import.meta.dirname, "..", "..", "..", ".build", "crash-points");
/** Lines of progress come this often. */
const PROGRESS_EVERY_MS = 10_000;

/** A case, and a rough order of how long it takes. */
interface Job {
  readonly name: string;
  readonly patience: number;
  readonly run: (platform: Platform) => Promise<Verdict>;
}

if (values.help) console.log(usage);
else if (values.recoveries !== undefined) await printRecoveries(Number(values.recoveries));
else {
  const platform = await startPlatform();
  try {
    process.exitCode = await run(platform);
  } finally {
    await platform.stop();
  }
}

async function run(platform: Platform): Promise<number> {
  if (values.case !== undefined) {
    const verdict = await jobNamed(values.case).run(platform);
    console.log(verdict.story);
    return summarise([verdict]);
  }
  const { cases, unsteady } = await enumerateCases(platform);
  const names = wanted([...cases, ...TWO_PODS_CASES]);
  const code = values.list ? print(names) : summarise(await runAll(platform, names.map(jobNamed)));
  const missed = new Set(wanted(unsteady).map((name) => name.slice(0, name.lastIndexOf("."))));
  for (const step of missed)
    console.log(`FAILED ${step}: only one of two clean runs came to it, so it was not struck`);
  return missed.size === 0 ? code : 1;
}

function wanted(cases: readonly { readonly name: string }[]): readonly string[] {
  return cases.map(({ name }) => name).filter((name) => name.includes(values.only));
}

function print(names: readonly string[]): number {
  for (const name of names) console.log(name);
  console.log(`${names.length} cases`);
  return 0;
}

function jobNamed(name: string): Job {
  const twoPods = TWO_PODS_CASES.find((made) => made.name === name);
  if (twoPods !== undefined) {
    return { name, patience: 3, run: (platform) => runTwoPods(platform, twoPods) };
  }
  const made = caseNamed(name);
  return { name, patience: made.patience, run: (platform) => runCase(platform, made) };
}

/** Runs cases, several at once, those that wait longest first. */
async function runAll(platform: Platform, jobs: readonly Job[]): Promise<readonly Verdict[]> {
  const waiting = jobs.toSorted((a, b) => b.patience - a.patience);
  const verdicts: Verdict[] = [];
  const timer = setInterval(() => {
    const failed = verdicts.filter(({ faults }) => faults.length > 0).length;
    console.log(`${verdicts.length} of ${jobs.length} cases, ${failed} failed`);
  }, PROGRESS_EVERY_MS);
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const verdict = await next.run(platform);
      verdicts.push(verdict);
      if (verdict.faults.length > 0) printFailure(verdict);
    }
  };
  await Promise.all(Array.from({ length: Number(values.concurrency) }, work));
  clearInterval(timer);
  return verdicts;
}

function printFailure({ name, faults, tookMs, story }: Verdict): void {
  const file = join(STORIES, `${name}.log`);
  mkdirSync(STORIES, { recursive: true });
  writeFileSync(file, `${faults.join("\n")}\n\n${story}\n`);
  console.log(`FAILED ${name} (${(tookMs / 1_000).toFixed(1)} s): ${faults.join("; ")}`);
}

function summarise(verdicts: readonly Verdict[]): number {
  const failed = verdicts.filter(({ faults }) => faults.length > 0);
  if (failed.length > 0) console.log(`\nwhat was said is in ${STORIES}`);
  for (const verdict of failed) {
    printFailure(verdict);
    console.log(`  replay: node bot-runtime/test/crash-points/main.ts --case ${verdict.name}`);
  }
  console.log(`${verdicts.length - failed.length} passed, ${failed.length} failed`);
  return failed.length === 0 ? 0 : 1;
}

async function printRecoveries(rounds: number): Promise<void> {
  const { restarted, replaced } = await measureRecoveries(rounds);
  for (const [name, times] of [
    ["restarted", restarted] as const,
    ["replaced", replaced] as const,
  ]) {
    const sorted = times.toSorted((a, b) => a - b);
    const at = (share: number) => sorted[Math.ceil(sorted.length * share) - 1]?.toFixed(0);
    console.log(`${name}: n ${sorted.length}, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`);
  }
}
