import { type RolloutStatus, SLOTS } from "@tradingbots/crds";
import type { ClassView } from "../class-view.ts";
import { isAskedFor, writtenTemplate } from "./pod-template.ts";
import {
  backSize,
  botsIn,
  forwardSize,
  isGivenUp,
  reachBack,
  reachForward,
  type Tally,
} from "./plan-wave.ts";

export interface RolloutFacts {
  readonly botClass: ClassView;
  /** Undefined while no rollout is under way: then nobody is counted. */
  readonly tally: Tally | undefined;
  readonly now: Date;
}

/**
 * What the class's status shall say about its rollout: the whole memory of it. The same facts always give the same status, so an
 * operator that takes over goes on where the last one wrote it down.
 */
export function planRollout({ botClass, tally, now }: RolloutFacts): RolloutStatus {
  const { wanted, status } = botClass;
  const { rollout } = status;
  if (rollout === undefined) {
    const hasOthers = tally !== undefined && tally.waiting.length > 0;
    return hasOthers ? anew(botClass) : { stable: writtenTemplate(wanted) };
  }
  const { stable, target, direction } = botClass.rollout;
  const isRejected = isRejectedAlready(botClass);
  const isAnew = target?.hash === stable.hash;
  if (target === undefined) {
    if (wanted.hash === stable.hash) return { stable: writtenTemplate(rollout.stable) };
    return isRejected ? rollout : begin(botClass, rollout);
  }
  const isTarget = rollout.target !== undefined && isAskedFor(rollout.target, wanted);
  if (isAnew && !isTarget) return anew(botClass);
  if ((!isTarget && isAskedFor(rollout.stable, wanted)) || isRejected) {
    const back: RolloutStatus = direction === "Back" ? rollout : turned(rollout, "Back", now);
    return tally === undefined ? back : wayBack(back, { botClass, tally, now });
  }
  if (!isTarget) return begin(botClass, rollout);
  if (direction === "Back") return turned(rollout, "Forward", now);
  return tally === undefined ? rollout : wayForward(rollout, { botClass, tally, now });
}

function isRejectedAlready({ wanted, status }: ClassView): boolean {
  const rejected = status.rollout?.rejected;
  return rejected !== undefined && isAskedFor(rejected.template, wanted);
}

/** The good template stays as it is written: pods have its hash. */
function begin({ wanted }: ClassView, { stable }: RolloutStatus): RolloutStatus {
  return {
    stable,
    target: writtenTemplate(wanted),
    direction: "Forward",
    reach: 0,
    wave: 0,
  };
}

/**
 * A class that was deleted and made anew, or restored without its status, finds pods of a template that nobody remembers. There is no
 * way back to it, but what takes its place comes in waves too.
 */
function anew({ wanted }: ClassView): RolloutStatus {
  const stable = writtenTemplate(wanted);
  return { stable, target: stable, direction: "Forward", reach: 0, wave: 0 };
}

/** The other way about, from where it stands. */
function turned(rollout: RolloutStatus, direction: "Forward" | "Back", now: Date): RolloutStatus {
  return { ...rollout, direction, waveStartedAt: secondsOf(now), settledAt: undefined };
}

/** Of a template under which nothing runs nothing is known: it becomes the good one only where nobody ever had a pod. */
function isShown(tally: Tally): boolean {
  return tally.updated > 0 || botsIn(tally) + tally.resting === 0;
}

/** Everybody has the target in reach, and nobody runs who could show what it is worth: it is watched until somebody does. */
export function lacksWitness(rollout: RolloutStatus): boolean {
  const { direction, reach, settledAt, updated, moving, deferred } = rollout;
  const isSettled = direction === "Forward" && reach === SLOTS && settledAt !== undefined;
  return isSettled && updated === 0 && moving === 0 && deferred === 0;
}

/** Since when the wave has been done: anew when the first bot runs where none did, for there was nothing to see before. */
function settledSince({ updated, settledAt }: RolloutStatus, tally: Tally): string | undefined {
  return updated === 0 && tally.updated > 0 ? undefined : settledAt;
}

type Counted = RolloutFacts & { readonly tally: Tally };

/** Wave by wave: until all of it is done, then the soak, then the next. */
function wayForward(rollout: RolloutStatus, { botClass, tally, now }: Counted): RolloutStatus {
  const limits = botClass.spec.rollout;
  const since = settledSince(rollout, tally);
  const counted = { ...rollout, ...countsOf(tally), settledAt: since };
  const { stable, target } = botClass.rollout;
  const hasWayBack = target?.hash !== stable.hash;
  if (hasWayBack && isGivenUp(tally, limits)) return givenUp(counted, tally, now);
  if (tally.moving > 0) return counted;
  const settled = { ...counted, settledAt: since ?? secondsOf(now) };
  if (soakLeftMs(settled, { botClass, now }) > 0) return settled;
  if (rollout.reach === SLOTS) {
    return tally.deferred === 0 && isShown(tally) && rollout.target !== undefined
      ? { stable: rollout.target }
      : settled;
  }
  const size = forwardSize(tally, limits);
  if (limits.paused || size <= 0) return settled;
  return nextWave(settled, reachForward(tally, size), now);
}

/** No soak, and no end of a wave is waited for: as fast as availability allows. */
function wayBack(rollout: RolloutStatus, { botClass, tally, now }: Counted): RolloutStatus {
  const limits = botClass.spec.rollout;
  const { waiting, moving, deferred } = tally;
  if (waiting.length + moving + deferred === 0) {
    const { stable, rejected } = rollout;
    return { stable, ...(isRejectedAlready(botClass) ? { rejected } : {}) };
  }
  const counted = { ...rollout, ...countsOf(tally) };
  const size = backSize(tally, limits);
  if (limits.paused || size <= 0 || waiting.length === 0) return counted;
  return nextWave(counted, reachBack(tally, size), now);
}

function nextWave(rollout: RolloutStatus, reach: number, now: Date): RolloutStatus {
  const wave = (rollout.wave ?? 0) + 1;
  return { ...rollout, reach, wave, waveStartedAt: secondsOf(now), settledAt: undefined };
}

/** What the CRD allows. */
const BECAUSE_MAX = 512;

function givenUp(rollout: RolloutStatus, tally: Tally, now: Date): RolloutStatus {
  const { target } = rollout;
  if (target === undefined) return rollout;
  const because =
    `${tally.failed} of ${botsIn(tally)} bots failed with image ${target.image}. ${tally.trouble ?? ""}`.trim();
  const rejected = { template: target, because: because.slice(0, BECAUSE_MAX) };
  return { ...turned(rollout, "Back", now), rejected };
}

function countsOf(tally: Tally) {
  const { updated, moving, deferred, failed } = tally;
  return { bots: botsIn(tally), updated, moving, deferred, failed };
}

/** Milliseconds until a settled wave has run well for long enough; where nothing runs there is nothing to see. */
export function soakLeftMs(
  { wave = 0, settledAt, updated = 0, failed = 0 }: RolloutStatus,
  { botClass, now }: Pick<RolloutFacts, "botClass" | "now">,
): number {
  if (wave === 0 || settledAt === undefined || updated + failed === 0) return 0;
  return Date.parse(settledAt) + botClass.spec.rollout.soakSeconds * 1_000 - now.getTime();
}

function secondsOf(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, "Z");
}
