import type { Condition } from "@tradingbots/crds";
import { isDeepStrictEqual } from "node:util";

/** A condition as a decision states it; the time of its last change is added when it is written. */
export type Fact = Omit<Condition, "lastTransitionTime">;

/** What the CRDs allow. */
const MESSAGE_MAX = 1_024;

export function fact(
  type: string,
  status: Condition["status"],
  because: { readonly reason: string; readonly message: string },
): Fact {
  return { type, status, reason: because.reason, message: because.message };
}

/** The conditions to write: a condition keeps its time as long as its status stays. */
export function withTransitions(
  facts: readonly Fact[],
  previous: readonly Condition[] | undefined,
  now: Date,
): Condition[] {
  return facts.map((each) => {
    const before = previous?.find(({ type }) => type === each.type);
    const lastTransitionTime =
      before?.status === each.status ? before.lastTransitionTime : secondsOf(now);
    return { ...each, message: each.message.slice(0, MESSAGE_MAX), lastTransitionTime };
  });
}

export function conditionOf(
  conditions: readonly Condition[] | undefined,
  type: string,
): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

/** Whether both say the same; a field that is undefined is a field that is not there. */
export function isSameStatus(
  previous: Readonly<Record<string, unknown>>,
  next: Readonly<Record<string, unknown>>,
): boolean {
  const fields = new Set([...Object.keys(previous), ...Object.keys(next)]);
  return [...fields].every((field) => isDeepStrictEqual(previous[field], next[field]));
}

/** RFC 3339 in whole seconds, as Kubernetes writes times. */
export function secondsOf(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, "Z");
}
