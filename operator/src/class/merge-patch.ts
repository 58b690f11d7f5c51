import { isDeepStrictEqual } from "node:util";

type Json = Readonly<Record<string, unknown>>;

/** The JSON merge patch that makes `previous` into `next`, at every depth; undefined when they are equal. */
export function mergePatch(previous: object, next: object): Json | undefined {
  const before = fieldsOf(previous);
  const after = fieldsOf(next);
  const patch: Record<string, unknown> = {};
  for (const field of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const change = changeOf(before[field], after[field]);
    if (change !== undefined) patch[field] = change;
  }
  return Object.keys(patch).length === 0 ? undefined : patch;
}

/** Null for a field that is to go. */
function changeOf(before: unknown, after: unknown): unknown {
  if (isDeepStrictEqual(before, after)) return undefined;
  if (isObject(before) && isObject(after)) return mergePatch(before, after);
  return after ?? null;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function fieldsOf(value: object): Json {
  return Object.fromEntries(Object.entries(value));
}
