/** The sample at the share `share` (0–1) of the sorted samples: the smallest that at least this share does not exceed. */
export function percentile(samples: readonly number[], share: number): number {
  if (samples.length === 0) throw new Error("no samples");
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.max(Math.ceil(share * sorted.length) - 1, 0)] ?? Number.NaN;
}

export function median(samples: readonly number[]): number {
  return percentile(samples, 0.5);
}

/** `n 100, p50 1.2, p99 3.4, max 5.6` */
export function spread(samples: readonly number[]): string {
  const [p50, p95, p99] = [0.5, 0.95, 0.99].map((share) => percentile(samples, share).toFixed(2));
  return `n ${samples.length}, p50 ${p50}, p95 ${p95}, p99 ${p99}, max ${Math.max(...samples).toFixed(2)}`;
}
