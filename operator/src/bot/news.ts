import type { Condition } from "@tradingbots/crds";
import { conditionOf } from "../conditions.ts";
import { isWorthAnEvent } from "./ready.ts";

/** What is worth an Event: another reason for not being ready, a position that nobody can look at, and its being given up. */
export function newsIn(
  after: Conditions,
  before: Conditions,
): readonly Pick<Condition, "reason" | "message">[] {
  const changed = (type: string) => {
    const condition = conditionOf(after, type);
    const isNew = condition?.reason !== conditionOf(before, type)?.reason;
    return isNew ? condition : undefined;
  };
  const ready = changed("Ready");
  const unknown = changed("PositionUnknown");
  const flat = changed("Flat");
  return [
    ...(ready !== undefined && isWorthAnEvent(ready.reason) ? [ready] : []),
    ...(unknown === undefined || unknown.reason === GIVEN_UP
      ? []
      : [{ ...unknown, reason: "PositionUnknown" }]),
    ...(flat?.reason === GIVEN_UP ? [{ ...flat, reason: "PositionAbandoned" }] : []),
  ];
}
const GIVEN_UP = "Abandoned";
type Conditions = readonly Condition[] | undefined;
