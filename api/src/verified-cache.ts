interface Entry<T> {
  readonly token: string;
  readonly value: T;
  readonly expiresAtMs: number;
}

/** The end of a signature, or of a hash: it tells tokens apart, and to hash a whole one takes longer than all the rest. */
const KEY_CHARACTERS = 12;

/**
 * Remembers which tokens were found good, until they expire; a signature check costs 0.4 ms and this costs nothing. Whenever half of `max`
 * have come, those are forgotten that nobody has shown since the half before them came: to keep them in the order of their use would
 * be most of what a look-up costs.
 */
export function createVerifiedCache<T>(max: number, now: () => number) {
  let young = new Map<number, Entry<T>>();
  let old: ReadonlyMap<number, Entry<T>> = new Map();

  /** What is known about a token; undefined when nothing is, or when it has expired. */
  function get(token: string): T | undefined {
    const key = keyOf(token);
    const entry = young.get(key) ?? rejuvenated(key);
    if (entry === undefined || entry.token !== token || entry.expiresAtMs <= now())
      return undefined;
    return entry.value;
  }

  function rejuvenated(key: number): Entry<T> | undefined {
    const entry = old.get(key);
    if (entry !== undefined) keep(key, entry);
    return entry;
  }

  function keep(key: number, entry: Entry<T>): void {
    young.set(key, entry);
    if (young.size < max / 2) return;
    old = young;
    young = new Map();
  }

  return {
    get,
    set: (token: string, value: T, expiresAtMs: number): void =>
      keep(keyOf(token), { token, value, expiresAtMs }),
    size: () => young.size + old.size,
  };
}

/**
 * A number (FNV-1a), because a text that is cut out for each look-up has to be copied and hashed. The few that share one push each other out.
 */
function keyOf(token: string): number {
  let key = 0;
  for (let at = Math.max(0, token.length - KEY_CHARACTERS); at < token.length; at++)
    key = Math.imul(key ^ token.charCodeAt(at), 0x01000193);
  return key;
}
