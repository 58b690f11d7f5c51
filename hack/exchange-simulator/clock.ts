/**
 * The simulator's server clock: another clock plus a skew, in ms. Signatures, receive windows, order and execution times and
 * every envelope's `time` use it. Candles never do: they carry replay time.
 */
export interface ServerClock {
  readonly now: () => number;
  /** Server clock minus the clock that it goes by, from now on; ms. */
  readonly setSkew: (skewMs: number) => void;
}

export function createServerClock(nowMs: () => number, skewMs: number): ServerClock {
  let skew = skewMs;
  return {
    now: () => nowMs() + skew,
    setSkew: (next) => {
      skew = next;
    },
  };
}
