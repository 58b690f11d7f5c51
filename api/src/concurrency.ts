/** Maps with at most `limit` calls under way, keeping the order. The first failure is thrown when its turn comes. */
export async function mapLimited<In, Out>(
  inputs: readonly In[],
  limit: number,
  work: (input: In) => Promise<Out>,
): Promise<Out[]> {
  const results: Out[] = [];
  const entries = inputs.entries();
  const runner = async () => {
    for (const [index, input] of entries) results[index] = await work(input);
  };
  await Promise.all(Array.from({ length: Math.min(limit, inputs.length) }, runner));
  return results;
}
