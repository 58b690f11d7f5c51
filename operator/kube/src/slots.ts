export interface Slots {
  /** Resolves when a slot is the caller's, who gives it back. @throws the signal's reason when it is aborted first. */
  acquire(signal?: AbortSignal): Promise<void>;
  release(): void;
}

/** So many at once; whoever comes later waits, in order. */
export function createSlots(limit: number): Slots {
  const waiting = new Set<() => void>();
  let free = limit;

  async function acquire(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (free > 0) {
      free--;
      return;
    }
    const turn = Promise.withResolvers<void>();
    const leave = () => {
      waiting.delete(turn.resolve);
      turn.reject(signal?.reason);
    };
    waiting.add(turn.resolve);
    signal?.addEventListener("abort", leave, { once: true });
    await turn.promise.finally(() => signal?.removeEventListener("abort", leave));
  }

  function release(): void {
    for (const next of waiting) {
      waiting.delete(next);
      next();
      return;
    }
    free++;
  }

  return { acquire, release };
}
