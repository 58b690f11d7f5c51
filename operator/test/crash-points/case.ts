import { setTimeout as sleep } from "node:timers/promises";
import type { Passed } from "../line.ts";
import { differences, endState } from "./end-state.ts";
import type { Lane } from "./lane.ts";
import { type Moment, MOMENTS } from "./moments.ts";
import { nameRequest } from "./request-name.ts";
import type { Scenario } from "./scenarios.ts";
import { World } from "./world.ts";

/** A request of a scenario. */
interface Step {
  /** The second of a name has `-2` behind it. */
  readonly name: string;
  readonly isRead: boolean;
}

/** What a scenario does and comes to when nothing goes wrong. */
export interface CleanRun {
  readonly scenario: Scenario;
  /** In order. */
  readonly steps: readonly Step[];
  readonly end: readonly string[];
}

/** A crash at one moment of one request. */
export interface Case {
  /** `scenario.request.moment`: replays it. */
  readonly name: string;
  readonly clean: CleanRun;
  readonly request: string;
  readonly moment: Moment;
}

export interface Verdict {
  readonly name: string;
  /** What is wrong, as sentences; empty when the case passed. */
  readonly faults: readonly string[];
  /** What was asked, and what the operator said. */
  readonly story: string;
  readonly tookMs: number;
}

/** Longer than the 2 s in which what trading changes becomes one write. */
const QUIET_MS = 2_500;
/** The fault of a case that struck nothing. */
const NOT_SENT = "the request was not sent";
const ATTEMPTS = 3;
/** Requests of a timer: they belong to no action but the start, where each kind is struck once. */
const TIMED = /^(get|patch|post)-leases/;

/** Every step of the scenarios × every moment that applies; a path that two scenarios share is struck in the first. */
export function casesOf(cleanRuns: readonly CleanRun[]): readonly Case[] {
  return cleanRuns.flatMap((clean) => {
    const other = cleanRuns.find(({ scenario }) => scenario.name === clean.scenario.continues);
    const struckThere = new Set(other?.steps.map(({ name }) => name));
    return clean.steps
      .filter((step) => !struckThere.has(step.name))
      .flatMap((step) => strikesOf(clean, step));
  });
}

function strikesOf(clean: CleanRun, { name: request, isRead }: Step): readonly Case[] {
  return MOMENTS.filter(({ appliesToReads }) => appliesToReads || !isRead).map((moment) => ({
    name: [clean.scenario.name, request, moment.name].join("."),
    clean,
    request,
    moment,
  }));
}

/** Runs the scenario without a crash. @throws Error when already that goes wrong. */
export async function runClean(lane: Lane, scenario: Scenario): Promise<CleanRun> {
  const world = await World.create(lane, scenario.trades);
  try {
    await scenario.prepare(world);
    const from = world.passed.length;
    await scenario.act(world);
    await world.until("it is done", () => scenario.isDone(world));
    await world.rest();
    const end = await endState(world);
    const faults = await faultsAfter(world, end);
    if (faults.length > 0) throw new Error(faults.join("; "));
    return { scenario, steps: stepsOf(scenario, world.passed.slice(from)), end };
  } catch (cause) {
    throw new Error(`the run of ${scenario.name} without a crash failed\n${storyOf(world)}`, {
      cause,
    });
  } finally {
    await world.close();
  }
}

/** Runs a case; again when its request was not sent, because a busy machine had made one write of two. */
export async function runCase(lane: Lane, each: Case): Promise<Verdict> {
  for (let attempt = 1; ; attempt += 1) {
    const verdict = await strikeOnce(lane, each);
    if (!verdict.faults.includes(NOT_SENT) || attempt === ATTEMPTS) return verdict;
  }
}

async function strikeOnce(lane: Lane, { name, clean, ...strike }: Case): Promise<Verdict> {
  const startedMs = performance.now();
  const { scenario } = clean;
  const world = await World.create(lane, scenario.trades);
  const faults: string[] = [];
  let isHit = false;
  try {
    await scenario.prepare(world);
    const names: string[] = [];
    world.treat((request) => {
      names.push(nameRequest(request));
      if (isHit || numbered(names).at(-1) !== strike.request) return { kind: "pass" };
      isHit = true;
      return strike.moment.strike(() => world.crash());
    });
    await scenario.act(world);
    await world.until("the request is sent", async () => isHit || (await scenario.isDone(world)));
    if (!isHit) await world.rest();
    if (!isHit) throw new Error(NOT_SENT);
    await converge(world, clean);
    faults.push(...(await faultsAfter(world, clean.end)));
  } catch (error) {
    faults.push(sentenceOf(error));
  }
  const story = storyOf(world);
  await world.close().catch((error: unknown) => faults.push(sentenceOf(error)));
  return { name, faults, story, tookMs: performance.now() - startedMs };
}

/** Waits for the state that is reached without a crash. @throws Error naming what differs for good. */
async function converge(world: World, { scenario, end }: CleanRun): Promise<void> {
  let different: readonly string[] = [];
  try {
    await world.until("what was wanted has come about", () => scenario.isDone(world));
    await world.until("the state is that of a run without a crash", async () => {
      await world.rest();
      different = differences(end, await endState(world));
      return different.length === 0;
    });
  } catch (cause) {
    if (different.length === 0) throw cause;
    throw new Error(`different from a run without a crash: ${different.join(", ")}`, { cause });
  }
}

/** Watches that nothing is written any more and nothing changes, and asks whether everything was right on the way. */
async function faultsAfter(world: World, end: readonly string[]): Promise<readonly string[]> {
  const settled = world.passed.length;
  await sleep(QUIET_MS);
  const writes = world.writesSince(settled).map((request) => nameRequest(request));
  const changes = differences(end, await endState(world));
  return [
    ...(world.watch.podsSeen === 0 ? ["the watch beside has seen no pod"] : []),
    ...world.watch.faults(world.kubelet.open),
    ...(writes.length > 0 ? [`written after everything was done: ${writes.join(", ")}`] : []),
    ...(changes.length > 0 ? [`changed after everything was done: ${changes.join(", ")}`] : []),
  ];
}

/** An error with all its causes. */
function sentenceOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${sentenceOf(error.cause)}`;
}

function stepsOf(scenario: Scenario, passed: readonly Passed[]): readonly Step[] {
  const names = numbered(passed.map((request) => nameRequest(request)));
  const steps = passed.map(({ method }, nth) => ({
    name: names[nth] ?? "",
    isRead: method === "GET",
  }));
  const isStart = scenario.name === "start";
  return steps.filter(({ name }) => !TIMED.test(name) || (isStart && !/-\d+$/.test(name)));
}

/** The second of a name is `name-2`. */
function numbered(names: readonly string[]): readonly string[] {
  const counts = new Map<string, number>();
  return names.map((name) => {
    const count = (counts.get(name) ?? 0) + 1;
    counts.set(name, count);
    return count === 1 ? name : `${name}-${count}`;
  });
}

function storyOf(world: World): string {
  const [first] = world.passed;
  const asked = world.passed.map((request) => {
    const at = String(Math.round(request.atMs - (first?.atMs ?? 0))).padStart(6);
    return `${at} ms ${nameRequest(request)} ${request.path} → ${request.status ?? "no answer"}`;
  });
  return [...asked, world.operator.output].join("\n");
}
