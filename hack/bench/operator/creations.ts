/** So many are under way at once, as the measurement asks for. */
const CREATED_AT_ONCE = 32;

/** Runs `make` for 0…count−1, a bounded number at once; gives back the seconds that it took. */
export async function inParallel(
  count: number,
  make: (index: number) => Promise<unknown>,
): Promise<number> {
  const startedMs = performance.now();
  let next = 0;
  const worker = async () => {
    while (next < count) await make(next++);
  };
  await Promise.all(Array.from({ length: CREATED_AT_ONCE }, worker));
  return (performance.now() - startedMs) / 1_000;
}
