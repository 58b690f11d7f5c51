import type { Condition } from "@tradingbots/crds";
import { createSharing, sharedText } from "./shared-values.ts";

/**
 * Conditions as they are kept of every bot: what they say, which thousands of bots share, apart from since when. Eight conditions take
 * 170 bytes instead of 2 kB.
 */
export interface PackedConditions {
  readonly sayings: readonly Omit<Condition, "lastTransitionTime">[];
  /** Seconds since the epoch; the text itself where it is no whole second of UTC. */
  readonly since: readonly (number | string)[];
}

const sharedSayings = createSharing<PackedConditions["sayings"]>();

export function packConditions(conditions: readonly Condition[]): PackedConditions {
  return {
    sayings: sharedSayings(conditions.map(sayingOf)),
    since: conditions.map(({ lastTransitionTime }) => packTime(lastTransitionTime)),
  };
}

function sayingOf(condition: Condition): PackedConditions["sayings"][number] {
  const { type, status, reason, message, observedGeneration } = condition;
  const saying = { type, status, reason, message };
  return observedGeneration === undefined ? saying : { ...saying, observedGeneration };
}

export function unpackConditions({ sayings, since }: PackedConditions): Condition[] {
  return sayings.map((saying, at) => ({
    ...saying,
    lastTransitionTime: unpackTime(since[at] ?? ""),
  }));
}

function packTime(time: string): number | string {
  if (time === last.text) return last.seconds;
  const seconds = Date.parse(time) / 1_000;
  return unpackTime(seconds) === time ? seconds : sharedText(time);
}

/** The last whole second that was asked for: an object's conditions have mostly changed together. */
let last = { seconds: 0, text: "1970-01-01T00:00:00Z" };

function unpackTime(time: number | string): string {
  if (typeof time === "string" || !Number.isInteger(time)) return String(time);
  if (time !== last.seconds) {
    last = { seconds: time, text: new Date(time * 1_000).toISOString().replace(".000Z", "Z") };
  }
  return last.text;
}
