import type { Condition } from "@tradingbots/crds";
import { createSharing, sharedText } from "./shared-values.ts";

/**
 * Conditions as they are kept of every bot: what they say, which thousands of bots share, apart from since when. Eight conditions take
 * 170 bytes instead of 2 kB.
 */
export interface PackedConditions {
  /** Undefined: the object has no list of conditions, not even an empty one. */
  readonly sayings: readonly Omit<Condition, "lastTransitionTime">[] | undefined;
  /** Those of one object are close together: each is told by what has passed since the one before. */
  readonly since: readonly PackedTime[];
}

/** Seconds since the epoch, or since another time; the text itself where it is no whole second of UTC. */
export type PackedTime = number | string;

const sharedSayings = createSharing<NonNullable<PackedConditions["sayings"]>>();

export function packConditions(conditions: readonly Condition[] | undefined): PackedConditions {
  if (conditions === undefined) return { sayings: undefined, since: [] };
  return {
    sayings: sharedSayings(conditions.map(sayingOf)),
    since: conditions
      .map(({ lastTransitionTime }) => packTime(lastTransitionTime))
      .map((time, at, times) => changed(time, times[at - 1], -1)),
  };
}

function sayingOf(condition: Condition): Omit<Condition, "lastTransitionTime"> {
  const { type, status, reason, message, observedGeneration } = condition;
  const saying = { type, status, reason, message };
  return observedGeneration === undefined ? saying : { ...saying, observedGeneration };
}

/** The part of a status that says them. */
export function unpackConditions({ sayings, since }: PackedConditions): {
  readonly conditions?: Condition[];
} {
  if (sayings === undefined) return {};
  let time: PackedTime | undefined;
  const conditions = sayings.map((saying, at) => {
    time = changed(since[at] ?? "", time, 1);
    return { ...saying, lastTransitionTime: unpackTime(time) };
  });
  return { conditions };
}

/** Texts stand for themselves, and what follows one as well. */
function changed(time: PackedTime, by: PackedTime | undefined, sign: 1 | -1): PackedTime {
  return typeof time === "number" && typeof by === "number" ? time + sign * by : time;
}

/** Seconds and texts of whole seconds that were asked for last: an object's conditions have two or three between them. */
const texts = new Map<number, string>();
const seconds = new Map<string, number>();
const KEPT_MAX = 512;

export function packTime(time: string): PackedTime {
  return seconds.get(time) ?? newTime(time);
}

function newTime(time: string): PackedTime {
  const at = Date.parse(time) / 1_000;
  if (unpackTime(at) !== time) return sharedText(time);
  if (seconds.size >= KEPT_MAX) seconds.clear();
  seconds.set(time, at);
  return at;
}

export function unpackTime(time: PackedTime): string {
  if (typeof time === "string" || !Number.isInteger(time)) return String(time);
  const known = texts.get(time);
  if (known !== undefined) return known;
  const text = new Date(time * 1_000).toISOString().replace(".000Z", "Z");
  if (texts.size >= KEPT_MAX) texts.clear();
  texts.set(time, text);
  return text;
}
