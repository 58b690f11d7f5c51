import { Client, type Pool } from "pg";

/**
 * Before each row that the journal writes, and at the end of both transactions, a statement waits while somebody holds the step's
 * advisory lock: a batch of records is one statement to the journal, and many to Postgres.
 */
const WAIT = `
  create function wait_while_held() returns trigger language plpgsql as $$
  begin
    perform pg_advisory_xact_lock_shared(hashtextextended(
      new.user_id || tg_argv[0] || coalesce('/' || (to_jsonb(new) ->> 'kind'), ''), 99));
    return new;
  end $$`;

/** What differs between two bots that told the same, and whether a time is there. */
const INCIDENTAL =
  "user_id bot_id account_id pod_uid token_issued started_at expires_at appended_at settled_at received_at heard_at".split(
    " ",
  );
const COMPARED = `replace((
  to_jsonb(r) - $2::text[] - case when $4 = 'live_events' then 'at' else '' end
  || jsonb_build_object('is_settled', to_jsonb(r) ->> 'settled_at' is not null))::text, $3, 'the bot')`;

interface Owned {
  readonly userId: string;
  readonly bot: string;
}

/** The rows that the journal may write, by table, and the power to stop whoever writes them. */
export async function rowsOfJournal(pool: Pool) {
  const { rows } = await pool.query<{ name: string }>(
    `select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'user_id'
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
        and has_table_privilege('tradingbots_journal', c.oid, 'insert')
      order by 1`,
  );
  const tables = rows.map(({ name }) => name);
  await pool.query(WAIT);
  for (const table of tables) {
    await pool.query(
      `create trigger wait_while_held before insert or update on ${table}
       for each row execute function wait_while_held('${table}')`,
    );
  }
  for (const [table, transaction] of [
    ["journal_sessions", "commit"],
    ["request_results", "commit of request_results"],
  ]) {
    await pool.query(
      `create constraint trigger wait_at_commit after insert or update on ${table} deferrable initially deferred
       for each row execute function wait_while_held('${transaction}')`,
    );
  }

  /** All that is kept of a bot, a line for each row. */
  async function of({ userId, bot }: Owned): Promise<readonly string[]> {
    const lines = await Promise.all(
      tables.map(async (table) => {
        const found = await pool.query<{ row: string }>(
          `select ${COMPARED} as row from ${table} r where user_id = $1`,
          [userId, INCIDENTAL, bot, table],
        );
        return found.rows.map(({ row }) => `${table} ${row}`);
      }),
    );
    return lines.flat().toSorted();
  }

  return { of };
}
export type RowsOfJournal = Awaited<ReturnType<typeof rowsOfJournal>>;

/** Holds steps of users until it is let go, or until Postgres ends. */
export async function holdSteps(url: string, steps: readonly (readonly [string, string])[]) {
  const client = new Client(url);
  client.on("error", () => {}); // Postgres ends, as is the plan
  await client.connect();
  for (const [userId, step] of steps) {
    await client.query("select pg_advisory_lock(hashtextextended($1, 99))", [userId + step]);
  }
  return { release: () => client.end() };
}
