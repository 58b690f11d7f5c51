/**
 * All rows of a list that may be longer than memory, page by page: `pageAfter` gives at most `pageRows` of them in a fixed order, from the
 * one after `last` on. What fails to be dealt with does not come again, so it holds up no others.
 */
export async function* rowsByPage<Row>(
  pageRows: number,
  pageAfter: (last: Row | undefined) => Promise<{ readonly rows: readonly Row[] }>,
): AsyncGenerator<Row> {
  let last: Row | undefined;
  do {
    const { rows } = await pageAfter(last);
    yield* rows;
    last = rows.length < pageRows ? undefined : rows.at(-1);
  } while (last !== undefined);
}
