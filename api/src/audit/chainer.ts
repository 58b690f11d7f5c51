import { type Database, inTransaction, type Queryable } from "../database.ts";
import { AUDIT_COLUMNS, type AuditRow, BEFORE_FIRST, type Link, linkAfter } from "./chain.ts";

/** As in the other places that lock: any number that nothing else locks. */
const LOCK_KEY = 7_201_965;
/** One transaction's work: about 50 ms. */
const BATCH = 1_000;

/**
 * Gives waiting entries their places in the chain and answers how many; 0 when another process is at it. For the role worker.
 * Entries are written without a lock and chained afterwards, so that no request waits for another's audit.
 */
export async function chainEntries(pool: Pick<Database, "connect">): Promise<number> {
  return inTransaction(pool, async (database) => {
    const { rows } = await database.query<{ is_ours: boolean }>(
      "select pg_try_advisory_xact_lock($1) as is_ours",
      [LOCK_KEY],
    );
    if (rows[0]?.is_ours !== true) return 0;
    const entries = await waitingEntries(database);
    if (entries.length === 0) return 0;
    const links = linksAfter(await lastLink(database), entries);
    await appendLinks(database, links);
    return links.length;
  });
}

interface EntryLink extends Link {
  readonly id: string;
}

function linksAfter(last: Link, entries: readonly AuditRow[]): readonly EntryLink[] {
  let previous = last;
  return entries.map((entry) => {
    previous = linkAfter(previous, entry);
    return { ...previous, id: entry.id };
  });
}

async function waitingEntries(database: Queryable): Promise<readonly AuditRow[]> {
  const { rows } = await database.query<AuditRow>(
    `select ${AUDIT_COLUMNS} from audit_unchained u join audit a on a.id = u.entry_id
      order by a.at, a.id limit ${BATCH}`,
  );
  return rows;
}

/** The chain's end. */
async function lastLink(database: Queryable): Promise<Link> {
  const { rows } = await database.query<{ sequence: string; hash: Buffer }>(
    "select sequence, hash from audit_chain order by sequence desc limit 1",
  );
  const [last] = rows;
  return last === undefined ? BEFORE_FIRST : { sequence: Number(last.sequence), hash: last.hash };
}

async function appendLinks(database: Queryable, links: readonly EntryLink[]): Promise<void> {
  const ids = links.map(({ id }) => id);
  await database.query(
    `insert into audit_chain (sequence, entry_id, hash)
     select * from unnest($1::bigint[], $2::uuid[], $3::bytea[])`,
    [links.map(({ sequence }) => sequence), ids, links.map(({ hash }) => hash)],
  );
  await database.query("delete from audit_unchained where entry_id = any($1)", [ids]);
}
