/**
 * Own writes that the watch has not told of yet. The answer to an own write also holds what others changed just before it; the watch
 * tells that change as an older version than the one that is known by then. Without a look at who made it, it would be taken for
 * stale and never be acted upon.
 */
export function createEchoes() {
  const awaited = new Map<string, Set<number>>();

  function expect(key: string, version: number): void {
    const versions = awaited.get(key) ?? new Set();
    awaited.set(key, versions.add(version));
  }

  /** Whether a version that is not newer than what is known was made by others, and is hidden in the answer to an own write. */
  function revealsOthers(key: string, version: number, origin: "fill" | "watch"): boolean {
    const versions = awaited.get(key);
    if (versions === undefined) return false;
    if (origin === "fill") {
      awaited.delete(key); // it tells the end only: who changed what before is not known
      return true;
    }
    const isEcho = versions.delete(version);
    if (versions.size === 0) awaited.delete(key);
    return !isEcho;
  }

  return { expect, revealsOthers, forget: (key: string) => void awaited.delete(key) };
}
