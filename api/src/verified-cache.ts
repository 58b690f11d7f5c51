interface Entry<T> {
  readonly token: string;
  readonly value: T;
  readonly expiresAtMs: number;
}

/** The end of a signature, or of a secret: it tells tokens apart, and to hash a whole one takes longer than all the rest. */
const KEY_CHARACTERS = 24;

/**
 * Remembers which tokens were found good, until they expire; a signature check costs 0.4 ms and this costs nothing. The
 * least recently used goes when there are `max`.
 */
export function createVerifiedCache<T>(max: number, now: () => number) {
  const entries = new Map<string, Entry<T>>();

  /** What is known about a token; undefined when nothing is, or when it has expired. */
  function get(token: string): T | undefined {
    const key = keyOf(token);
    const entry = entries.get(key);
    if (entry === undefined || entry.token !== token) return undefined;
    entries.delete(key); // its next insertion makes it the youngest
    if (entry.expiresAtMs <= now()) return undefined;
    entries.set(key, entry);
    return entry.value;
  }

  function set(token: string, value: T, expiresAtMs: number): void {
    entries.set(keyOf(token), { token, value, expiresAtMs });
    const oldest = entries.size > max ? entries.keys().next().value : undefined;
    if (oldest !== undefined) entries.delete(oldest);
  }

  return { get, set, size: () => entries.size };
}

function keyOf(token: string): string {
  return token.slice(-KEY_CHARACTERS);
}
