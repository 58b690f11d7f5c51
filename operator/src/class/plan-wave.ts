import { type BotClass, SLOTS } from "@tradingbots/crds";

/** Where the bots of a class stand while a template is rolled out or taken back. */
export interface Tally {
  /** Ready with the template that they shall have in the end. */
  readonly updated: number;
  /** Their next pod is on its way: the last one is ending, or the new one is not ready. */
  readonly moving: number;
  /** Their turn has come, their position is open. */
  readonly deferred: number;
  /** Failing with the template that they shall have in the end. */
  readonly failed: number;
  /** Failing with it as they did before: no sign against the template, and none for it. */
  readonly unproven: number;
  /** Their turn has come, and they may have no pod: no fault of the rollout. */
  readonly held: number;
  /** Their turn has come, and the cluster takes no pod of theirs, of whatever template: a quota, a policy. */
  readonly refused: number;
  /** Without a pod, and not about to get one, though they had one once: they could tell, and are not there to. */
  readonly resting: number;
  /** Slots of those whose turn is to come, in no order. */
  readonly waiting: readonly number[];
  /** What one of the failed bots suffers from. */
  readonly trouble: string | undefined;
}

/** Of a class without bots: what counting begins with. */
export const NOBODY: Tally = {
  updated: 0,
  moving: 0,
  deferred: 0,
  failed: 0,
  unproven: 0,
  held: 0,
  refused: 0,
  resting: 0,
  waiting: [],
  trouble: undefined,
};

type Limits = BotClass["spec"]["rollout"];

/** All bots that have a pod or are about to get one. */
export function botsIn(tally: Tally): number {
  const { updated, moving, deferred, failed, unproven, held, refused, waiting } = tally;
  return updated + moving + deferred + failed + unproven + held + refused + waiting.length;
}

/** As many may fail; with that the rollout is over. At least one: a class of three bots has a budget too. */
function failureBudget(tally: Tally, { failureBudgetPercent }: Limits): number {
  return shareOf(tally, failureBudgetPercent);
}

function shareOf(tally: Tally, percent: number): number {
  return Math.max(1, Math.floor((botsIn(tally) * percent) / 100));
}

/**
 * Whether the template is given up: the budget is used up, or all that came up with it so far have failed, which costs no second
 * wave to know.
 */
export function isGivenUp(tally: Tally, limits: Limits): boolean {
  const { failed, updated, moving } = tally;
  if (failed >= failureBudget(tally, limits)) return true;
  return failed > 0 && updated === 0 && moving === 0;
}

/**
 * How many bots the next wave may take. No more than may fail, so that a bad template never reaches more than the budget; and
 * together with those on their way, refused, or waiting for their position to close, no more than may be unavailable.
 */
export function forwardSize(tally: Tally, limits: Limits): number {
  const { moving, failed } = tally;
  return Math.min(backSize(tally, limits), failureBudget(tally, limits) - failed - moving);
}

/** The way back leads to what is known to be good: only availability limits it. */
export function backSize(tally: Tally, limits: Limits): number {
  const { moving, deferred, refused } = tally;
  return shareOf(tally, limits.maxUnavailablePercent) - moving - deferred - refused;
}

/** The reach that lets the next `size` bots have the target; with the last of them everybody, also bots that do not exist yet. */
export function reachForward({ waiting }: Tally, size: number): number {
  if (waiting.length <= size) return SLOTS;
  const last = Uint32Array.from(waiting).toSorted()[size - 1] ?? 0; // typed: numbers sort as numbers, without a callback
  return last + 1;
}

/** The reach that takes the target from the last `size` bots that have it. */
export function reachBack({ waiting }: Tally, size: number): number {
  if (waiting.length <= size) return 0;
  return Uint32Array.from(waiting).toSorted()[waiting.length - size] ?? 0;
}
