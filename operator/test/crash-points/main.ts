import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Case, casesOf, type CleanRun, runCase, runClean, type Verdict } from "./case.ts";
import { buildOperator, type Lane, startLane } from "./lane.ts";
import { type Scenario, SCENARIOS } from "./scenarios.ts";

const usage = `Kills the operator's process at every request that it sends, before it is sent, before its answer comes, and after it, and
starts another: on a real API server, beside a watch that never sees two pods of one bot.

  --list          print the cases and their count
  --case NAME     replay one case and print what was asked and said
  --only TEXT     cases whose name contains TEXT
  --lanes 6       cases at once, each beside an API server of its own
`;
const { values } = parseArgs({
  options: {
    list: { type: "boolean", default: false },
    case: { type: "string" },
    only: { type: "string", default: "" },
    lanes: { type: "string", default: "6" },
    help: { type: "boolean", default: false },
  },
});

/** What was said in cases that failed. */
const STORIES = join(import.meta.dirname, "..", "..", "..", ".build", "operator-crash-points");
/** Lines of progress come this often. */
const PROGRESS_EVERY_MS = 10_000;

if (values.help) console.log(usage);
else {
  const program = await buildOperator();
  const count = values.case === undefined ? Number(values.lanes) : 1;
  const lanes = await Promise.all(Array.from({ length: count }, () => startLane(program)));
  try {
    process.exitCode = await run(lanes);
  } finally {
    await Promise.all(lanes.map((lane) => lane.stop()));
    await program.remove();
  }
}

async function run(lanes: readonly Lane[]): Promise<number> {
  const wanted = values.case ?? values.only;
  const named = SCENARIOS.filter(({ name }) => wanted.startsWith(`${name}.`));
  const scenarios = named.length > 0 ? named : SCENARIOS;
  const cleanRuns = new Map<Scenario, CleanRun>();
  await share(lanes, scenarios, async (lane, scenario) => {
    cleanRuns.set(scenario, await runClean(lane, scenario));
  });
  const inOrder = scenarios.flatMap((scenario) => cleanRuns.get(scenario) ?? []);
  const cases = casesOf(inOrder).filter(({ name }) =>
    values.case === undefined ? name.includes(wanted) : name === wanted,
  );
  if (cases.length === 0) throw new Error(`there is no case ${wanted}: see --list`);
  if (values.list) {
    for (const { name } of cases) console.log(name);
    console.log(`${cases.length} cases`);
    return 0;
  }
  const verdicts = await runAll(lanes, cases);
  if (values.case !== undefined) console.log(verdicts[0]?.story);
  return summarise(verdicts);
}

async function runAll(lanes: readonly Lane[], cases: readonly Case[]): Promise<readonly Verdict[]> {
  const verdicts: Verdict[] = [];
  const timer = setInterval(() => {
    const failed = verdicts.filter(({ faults }) => faults.length > 0).length;
    console.log(`${verdicts.length} of ${cases.length} cases, ${failed} failed`);
  }, PROGRESS_EVERY_MS);
  try {
    await share(lanes, cases, async (lane, each) => {
      const verdict = await runCase(lane, each);
      verdicts.push(verdict);
      if (verdict.faults.length > 0) printFailure(verdict);
    });
  } finally {
    clearInterval(timer);
  }
  return verdicts;
}

/** Does all the jobs, one at a time in each lane. */
async function share<Job>(
  lanes: readonly Lane[],
  jobs: readonly Job[],
  carryOut: (lane: Lane, job: Job) => Promise<void>,
): Promise<void> {
  const waiting = [...jobs];
  await Promise.all(
    lanes.map(async (lane) => {
      for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) {
        await carryOut(lane, job);
      }
    }),
  );
}

function printFailure({ name, faults, tookMs, story }: Verdict): void {
  mkdirSync(STORIES, { recursive: true });
  writeFileSync(join(STORIES, `${name}.log`), `${faults.join("\n")}\n\n${story}\n`);
  console.log(`FAILED ${name} (${(tookMs / 1_000).toFixed(1)} s): ${faults.join("; ")}`);
}

function summarise(verdicts: readonly Verdict[]): number {
  const failed = verdicts.filter(({ faults }) => faults.length > 0);
  if (failed.length > 0) console.log(`\nwhat was said is in ${STORIES}`);
  for (const verdict of failed) {
    printFailure(verdict);
    console.log(`  replay: node operator/test/crash-points/main.ts --case ${verdict.name}`);
  }
  console.log(`${verdicts.length - failed.length} passed, ${failed.length} failed`);
  return failed.length === 0 ? 0 : 1;
}
