export interface BackOff {
  readonly initialMs: number;
  readonly maxMs: number;
}

/**
 * Exponential back-off with full jitter over the upper half: `failures` 1, 2, 3… give initial, 2 × initial, 4 × initial…
 * up to the ceiling, each times a number from [0.5, 1). The jitter keeps thousands that failed together from returning together.
 */
export function backOffMs(
  failures: number,
  { initialMs, maxMs }: BackOff,
  random: () => number,
): number {
  const ceiling = Math.min(maxMs, initialMs * 2 ** Math.min(failures - 1, 30));
  return ceiling * (0.5 + random() / 2);
}
