/**
 * The simulator's server clock: wall clock plus a constant skew, in ms. Signatures, receive windows, order and execution times
 * and every envelope's `time` use it. Candles never do: they carry replay time.
 */
export interface ServerClock {
  readonly now: () => number;
}

export function createServerClock(skewMs: number): ServerClock {
  return { now: () => Date.now() + skewMs };
}
