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

/** Seconds and texts of whole seconds that were asked for last: an object's conditions have two or three between them. */
const texts = new Map<number, string>();
const seconds = new Map<string, number>();
const KEPT_MAX = 64;

function packTime(time: string): number | string {
  return seconds.get(time) ?? newTime(time);
}

function newTime(time: string): number | string {
  const at = Date.parse(time) / 1_000;
  if (unpackTime(at) !== time) return sharedText(time);
  if (seconds.size >= KEPT_MAX) seconds.clear();
  seconds.set(time, at);
  return at;
}

function unpackTime(time: number | string): string {
  if (typeof time === "string" || !Number.isInteger(time)) return String(time);
  const known = texts.get(time);
  if (known !== undefined) return known;
  const text = new Date(time * 1_000).toISOString().replace(".000Z", "Z");
  if (texts.size >= KEPT_MAX) texts.clear();
  texts.set(time, text);
  return text;
}
