import { audit } from "./audit.ts";
import { type Crash, CRASHES } from "./crashes.ts";
import type { Platform } from "./platform.ts";
import { type Scenario, SCENARIOS } from "./scenarios.ts";
import { isOnPath, isStruck, PHASES, type Step, whyByChance } from "./steps.ts";
import { type Strike, TradeRun } from "./trade-run.ts";

/** One crash at one step of one scenario. */
export interface Case {
  /** `scenario.phase.request.crash`: replays it. */
  readonly name: string;
  readonly scenario: Scenario;
  readonly strike: Strike;
  /** A rough order of how long cases take: leases and settle windows are waited for. */
  readonly patience: number;
}

export interface Verdict {
  readonly name: string;
  /** What is wrong, as sentences; empty when the case passed. */
  readonly faults: readonly string[];
  /** What processes, journal and exchange said. */
  readonly story: string;
  readonly tookMs: number;
}

export interface Enumeration {
  /** Each step of the order path × each crash that applies. */
  readonly cases: readonly Case[];
  /** The same of steps that only one of two clean runs came to, and nobody knows why: a crash might wait there in vain. */
  readonly unsteady: readonly Case[];
}

/** Runs every scenario twice without a crash and enumerates what can be struck. */
export async function enumerateCases(platform: Platform): Promise<Enumeration> {
  const recordings = await Promise.allSettled(
    SCENARIOS.map(async (scenario) => casesOf(scenario, await findSteps(platform, scenario))),
  );
  const recorded = recordings.map((recording) => {
    if (recording.status === "rejected") throw recording.reason;
    return recording.value;
  });
  return {
    cases: recorded.flatMap(({ cases }) => cases),
    unsteady: recorded.flatMap(({ unsteady }) => unsteady),
  };
}

function casesOf(scenario: Scenario, found: FoundSteps): Enumeration {
  const strike = (steps: readonly Step[]) =>
    steps
      // Requests that leave together arrive in any order.
      .toSorted((a, b) => PHASES.indexOf(a.phase) - PHASES.indexOf(b.phase) || byName(a, b))
      .flatMap((step) =>
        CRASHES.filter(({ applies }) => applies.includes(step.kind)).map((crash) =>
          newCase(scenario, { step, crash }),
        ),
      );
  return { cases: strike(found.steady), unsteady: strike(found.unsteady) };
}

function byName(a: Step, b: Step): number {
  return a.request.localeCompare(b.request);
}

interface FoundSteps {
  readonly steady: readonly Step[];
  readonly unsteady: readonly Step[];
}

/**
 * Steps of either of two runs, by whether a crash would have come to them in both: which records travel together, and whether
 * they do in one phase or the next, is chance.
 */
async function findSteps(platform: Platform, scenario: Scenario): Promise<FoundSteps> {
  const runs = [await recordSteps(platform, scenario), await recordSteps(platform, scenario)];
  const shown = runs
    .flat()
    .filter((step) => scenario.phases.includes(step.phase) && isOnPath(step))
    .filter((step) => scenario.strikes?.(step) ?? true);
  const steps = [...Map.groupBy(shown, ({ phase, request }) => `${phase}.${request}`).values()]
    .map(([step]) => step)
    .filter((step) => step !== undefined);
  const isSteady = (step: Step) => runs.every((run) => run.some((each) => isStruck(step, each)));
  const { true: steady = [], false: chance = [] } = Object.groupBy(steps, (step) =>
    isSteady(step) ? "true" : "false",
  );
  return { steady, unsteady: chance.filter((step) => !isExplained(scenario, step)) };
}

function isExplained(scenario: Scenario, step: Step): boolean {
  const why = whyByChance(scenario.name, step);
  if (why === undefined) return false;
  console.log(`by chance, not struck: ${scenario.name}.${step.phase}.${step.request}: ${why}`);
  return true;
}

/** The steps of a trade in which nothing goes wrong. Throws when something does. */
async function recordSteps(platform: Platform, scenario: Scenario): Promise<readonly Step[]> {
  const run = await TradeRun.create(platform, scenario, undefined);
  try {
    await run.trade();
    const faults = await audit(run.world, [scenario.symbols.length]);
    if (faults.length > 0) throw new Error(faults.join("; "));
    if (scenario.shows?.(run.world.account) === false) throw new Error("it shows nothing new");
    return run.steps;
  } catch (error) {
    const story = await run.story();
    throw new Error(`the clean run of ${scenario.name} failed\n${story}`, { cause: error });
  } finally {
    await run.close();
  }
}

/** The case of a name as `--list` prints it. */
export function caseNamed(name: string): Case {
  const [scenarioName, phaseName, request = "", crashName] = name.split(".");
  const scenario = SCENARIOS.find((each) => each.name === scenarioName);
  const phase = PHASES.find((each) => each === phaseName);
  const crash = CRASHES.find((each) => each.name === crashName);
  if (scenario === undefined || phase === undefined || crash === undefined) {
    throw new Error(`${name} is not <scenario>.<phase>.<request>.<crash>: see --list`);
  }
  return newCase(scenario, { step: { phase, request }, crash });
}

function newCase(scenario: Scenario, strike: Strike): Case {
  const { step, crash } = strike;
  const name = [scenario.name, step.phase, step.request, crash.name].join(".");
  return { name, scenario, strike, patience: patienceOf(crash) };
}

function patienceOf({ name }: Crash): number {
  if (name.startsWith("node-lost")) return 2;
  return name === "pod-deleted" || name.endsWith("before") ? 1 : 0;
}

/** Runs a case, and again when it was right but never came to its crash: timers can bring a request in another phase. */
export async function runCase(platform: Platform, each: Case): Promise<Verdict> {
  let verdict = await runOnce(platform, each);
  for (let again = 0; again < 2 && isNotReached(verdict); again += 1) {
    console.log(`${each.name}: ${NOT_REACHED}, once more`);
    verdict = await runOnce(platform, each);
  }
  return verdict;
}

const NOT_REACHED = "fault not reached";

function isNotReached({ faults }: Verdict): boolean {
  return faults.length === 1 && faults[0] === NOT_REACHED;
}

async function runOnce(platform: Platform, { name, scenario, strike }: Case): Promise<Verdict> {
  const startedMs = performance.now();
  const run = await TradeRun.create(platform, scenario, strike);
  const faults: string[] = [];
  let story = "";
  try {
    await run.trade();
    faults.push(...(await audit(run.world, entryCounts(strike, run))));
  } catch (error) {
    faults.push(error instanceof Error ? error.message : String(error));
  } finally {
    if (!run.hit) faults.push(NOT_REACHED);
    story = await run.story();
    await run.close();
  }
  return { name, faults, story, tookMs: performance.now() - startedMs };
}

/**
 * Entries that may be at the exchange after so many signals to each symbol: an order that it took stays the only one of its
 * signal, one that it never saw is not sent again.
 */
function entryCounts(
  { step, crash }: Strike,
  { signals, missed, scenario }: TradeRun,
): readonly number[] {
  const each = scenario.symbols.length;
  const all = each * signals - missed;
  if (step.phase !== "enter") return [all];
  const isOrder = step.request.endsWith("order-create-entry");
  // Whatever was lost before an order may cost the signal of every symbol, never more.
  if (!isOrder) return Array.from({ length: each + 1 }, (_, lost) => all - lost);
  const ofOthers = Array.from({ length: each }, (_, lost) => all - lost);
  return ofOthers.map((count) => count - Number(!crash.taken));
}
