/** Enough for what differs between classes, strategies and states; a bound, because what is never equal would fill it. */
const KEPT_MAX = 20_000;

/**
 * Gives the one frozen copy of all values that are equal as JSON. For what is the same in thousands of objects: conditions, limits,
 * empty lists.
 */
export function createSharing<T extends object>(): (value: T) => T {
  const known = new Map<string, T>();
  return (value) => {
    const json = JSON.stringify(value);
    return known.get(json) ?? keep(known, json, Object.freeze(value));
  };
}

const texts = new Map<string, string>();

/** The one copy of a text that many objects hold. Every parsed object brings its own. */
export function sharedText(text: string): string {
  return texts.get(text) ?? keep(texts, text, text);
}

/** What is full begins anew: those who hold the old copies keep them. */
function keep<T>(known: Map<string, T>, key: string, value: T): T {
  if (known.size >= KEPT_MAX) known.clear();
  known.set(key, value);
  return value;
}
