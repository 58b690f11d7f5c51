import type { Queryable } from "../database.ts";
import {
  AUDIT_COLUMNS,
  type AuditRow,
  BEFORE_FIRST,
  exportedEntry,
  type Link,
  linkAfter,
} from "./chain.ts";

const PAGE = 1_000;
/** Long enough for the chainer to have been down over an upgrade. */
const CHAINED_AFTER = "10 minutes";

export interface Verdict {
  /** The last link that holds. Keep it elsewhere: only so does a chain that was cut off behind it show. */
  readonly head: Link;
  /** What is wrong first, and where. */
  readonly broken?: { readonly sequence: number; readonly reason: string };
  /** Entries that were written long ago and have no place in the chain. */
  readonly unchained: number;
}

interface ChainRow extends AuditRow {
  readonly sequence: string;
  readonly hash: Buffer;
  readonly entry_id: string;
}

/**
 * Walks the chain from its beginning to its end.
 * @param expected a head that was seen earlier: the chain must still lead through it
 */
export async function verifyChain(
  database: Queryable,
  expected?: { readonly sequence: number; readonly hash: string },
): Promise<Verdict> {
  let head: Link = BEFORE_FIRST;
  for await (const row of chainRows(database)) {
    const reason = whatIsWrong(head, row, expected);
    if (reason !== undefined) {
      return { head, broken: { sequence: head.sequence + 1, reason }, unchained: 0 };
    }
    head = { sequence: Number(row.sequence), hash: row.hash };
  }
  if (expected !== undefined && head.sequence < expected.sequence) {
    const reason = `the chain ends before ${expected.sequence}, which it had`;
    return { head, broken: { sequence: head.sequence + 1, reason }, unchained: 0 };
  }
  return { head, unchained: await countUnchained(database) };
}

function whatIsWrong(
  head: Link,
  row: ChainRow,
  expected: { readonly sequence: number; readonly hash: string } | undefined,
): string | undefined {
  const sequence = Number(row.sequence);
  if (sequence !== head.sequence + 1) return `the chain goes on with ${sequence}`;
  // An outer join: without an entry all of its columns are null.
  if (row.id === null) return `entry ${row.entry_id} is gone`;
  const { sequence: _, hash, entry_id: _id, ...entry } = row;
  if (!linkAfter(head, entry).hash.equals(hash)) {
    return `entry ${row.entry_id} or a hash is not what it was`;
  }
  const isAnother = expected?.sequence === sequence && expected.hash !== hash.toString("hex");
  return isAnother ? "the hash is not the expected one: the chain was written anew" : undefined;
}

async function* chainRows(database: Queryable, after = 0): AsyncGenerator<ChainRow> {
  for (let last = after; ;) {
    const { rows } = await database.query<ChainRow>(
      `select c.sequence, c.hash, c.entry_id, ${AUDIT_COLUMNS}
         from audit_chain c left join audit a on a.id = c.entry_id
        where c.sequence > $1 order by c.sequence limit ${PAGE}`,
      [last],
    );
    yield* rows;
    if (rows.length < PAGE) return;
    last = Number(rows.at(-1)?.sequence);
  }
}

async function countUnchained(database: Queryable): Promise<number> {
  const { rows } = await database.query<{ count: number }>(
    `select count(*)::int as count from audit a
      where a.at < now() - interval '${CHAINED_AFTER}'
        and not exists (select from audit_chain c where c.entry_id = a.id)`,
  );
  return rows[0]?.count ?? 0;
}

/** Chained entries as lines of JSON, from the one behind `after` on. */
export async function* exportLines(database: Queryable, after: number): AsyncGenerator<string> {
  for await (const { sequence, hash, entry_id: _, ...entry } of chainRows(database, after)) {
    const line = {
      sequence: Number(sequence),
      ...exportedEntry(entry),
      hash: hash.toString("hex"),
    };
    yield `${JSON.stringify(line)}\n`;
  }
}
