import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Case, caseNamed, enumerateCases, runCase, type Verdict } from "./case.ts";
import { type Platform, startPlatform } from "./platform.ts";

const usage = `Crashes at every step of the order path, with the bot as a process, the exchange simulator and the real journal.

  --list               print the cases and their count
  --case NAME          replay one case and print what its processes said
  --only TEXT          cases whose name contains TEXT
  --concurrency 24     cases at once; most of their time is waiting
`;
const { values } = parseArgs({
  options: {
    list: { type: "boolean", default: false },
    case: { type: "string" },
    only: { type: "string", default: "" },
    concurrency: { type: "string", default: "24" },
    help: { type: "boolean", default: false },
  },
});

/** What was said in cases that failed. */
const STORIES = join(import.meta.dirname, "..", "..", "..", ".build", "crash-points");
/** Lines of progress come this often. */
const PROGRESS_EVERY_MS = 10_000;

if (values.help) console.log(usage);
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
    const verdict = await runCase(platform, caseNamed(values.case));
    console.log(verdict.story);
    return summarise([verdict]);
  }
  const all = await enumerateCases(platform);
  const cases = all.filter(({ name }) => name.includes(values.only));
  if (values.list) {
    for (const { name } of cases) console.log(name);
    console.log(`${cases.length} cases`);
    return 0;
  }
  return summarise(await runAll(platform, cases));
}

/** Runs cases, several at once, those that wait longest first. */
async function runAll(platform: Platform, cases: readonly Case[]): Promise<readonly Verdict[]> {
  const waiting = cases.toSorted((a, b) => patience(b) - patience(a));
  const verdicts: Verdict[] = [];
  const timer = setInterval(() => {
    const failed = verdicts.filter(({ faults }) => faults.length > 0).length;
    console.log(`${verdicts.length} of ${cases.length} cases, ${failed} failed`);
  }, PROGRESS_EVERY_MS);
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const verdict = await runCase(platform, next);
      verdicts.push(verdict);
      if (verdict.faults.length > 0) printFailure(verdict);
    }
  };
  await Promise.all(Array.from({ length: Number(values.concurrency) }, work));
  clearInterval(timer);
  return verdicts;
}

/** A rough order of how long cases take: leases and settle windows are waited for. */
function patience({ strike: { crash } }: Case): number {
  if (crash.name.startsWith("node-lost")) return 2;
  return crash.name === "pod-deleted" || crash.name.endsWith("before") ? 1 : 0;
}

function printFailure({ name, faults, tookMs, story }: Verdict): void {
  const file = join(STORIES, `${name}.log`);
  mkdirSync(STORIES, { recursive: true });
  writeFileSync(file, `${faults.join("\n")}\n\n${story}\n`);
  console.log(`FAILED ${name} (${(tookMs / 1_000).toFixed(1)} s): ${faults.join("; ")}`);
}

function summarise(verdicts: readonly Verdict[]): number {
  const failed = verdicts.filter(({ faults }) => faults.length > 0);
  for (const verdict of failed) {
    printFailure(verdict);
    console.log(`  replay: node bot-runtime/test/crash-points/main.ts --case ${verdict.name}`);
  }
  console.log(`${verdicts.length - failed.length} passed, ${failed.length} failed`);
  return failed.length === 0 ? 0 : 1;
}
