import { z } from "zod";
import { invalidField } from "./errors.ts";

const LIMIT_DEFAULT = 50;
const LIMIT_MAX = 200;
const CURSOR_MAX = 512;

/** Query of every list. */
export const PageQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(LIMIT_MAX).default(LIMIT_DEFAULT),
  cursor: z.string().max(CURSOR_MAX).optional().describe("`next` of the page before."),
});
export type PageQuery = z.infer<typeof PageQuery>;

/** Answer of every list that may be long: `next` is null at the end. Its example is that of the items. */
export function pageOf<Item extends z.ZodType>(item: Item) {
  return z
    .object({ items: z.array(item), next: z.string().nullable() })
    .meta({ examples: [{ items: examplesOf(item), next: null }] });
}

/** Answer of a list that is never long. Its example is that of the items. */
export function listOf<Item extends z.ZodType>(item: Item) {
  return z.object({ items: z.array(item) }).meta({ examples: [{ items: examplesOf(item) }] });
}

function examplesOf(item: z.ZodType): unknown {
  return item.meta()?.["examples"] ?? [];
}

/** Where a list ends that is in the order of time. A date, because Postgres reads no text of the year 0, which a cursor may hold. */
export const TimePosition = z.tuple([
  z.iso.datetime().transform((text) => new Date(text)),
  z.uuid(),
]);

/** A cursor says where the page before ended; to the outside it is opaque. */
function encodeCursor(position: unknown): string {
  return Buffer.from(JSON.stringify(position)).toString("base64url");
}

/** @throws ApiError `validation_failed` for anything that is not a cursor of ours */
export function decodeCursor<T>(cursor: string, position: z.ZodType<T>): T {
  try {
    return position.parse(JSON.parse(Buffer.from(cursor, "base64url").toString("utf8")));
  } catch {
    throw invalidField("cursor", "is not a cursor of this list: leave it out to start over");
  }
}

/** Splits `limit + 1` rows into the page and whether more follow. */
export function cutPage<Row>(
  rows: readonly Row[],
  limit: number,
  positionOf: (row: Row) => unknown,
) {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  const next = rows.length > limit && last !== undefined ? encodeCursor(positionOf(last)) : null;
  return { items, next };
}
