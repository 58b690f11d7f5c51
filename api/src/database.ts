import { readFile } from "node:fs/promises";
import { Pool, type PoolClient, type QueryResult, type QueryResultRow } from "pg";

/** What a query needs: a pool, or one connection inside a transaction. */
export interface Queryable {
  query<Row extends QueryResultRow>(
    text: string,
    values?: unknown[],
  ): Promise<Pick<QueryResult<Row>, "rows" | "rowCount" | "fields">>;
}

/** What the API needs of a pool. */
export type Database = Pick<Pool, "query" | "connect">;

export interface DatabaseOptions {
  readonly url: string;
  /** Read anew for each connection, so a changed password needs no restart. Undefined: the URL holds it. */
  readonly passwordFile?: string | undefined;
  readonly connectionsMax: number;
  /** 10 s unless told otherwise: no statement of ours takes longer on a healthy database. */
  readonly statementLimitMs?: number;
}

/** A frozen database must not collect requests for ever. */
const STATEMENT_LIMIT_MS = 10_000;
const CONNECT_LIMIT_MS = 5_000;

/** A pool of one role. Numerics arrive as strings, so amounts stay exact. */
export function createPool(options: DatabaseOptions): Pool {
  const { connectionsMax, statementLimitMs = STATEMENT_LIMIT_MS } = options;
  const pool = new Pool({
    ...connectionOptions(options),
    max: connectionsMax,
    statement_timeout: statementLimitMs,
    query_timeout: statementLimitMs + 1_000,
    idle_in_transaction_session_timeout: statementLimitMs,
  });
  // An idle connection that the server closes is replaced at the next query; without a listener it would end us.
  pool.on("error", () => {});
  // A connection that has just begun is nobody's for a moment: what ends it then would end us too.
  pool.on("connect", (client) => void client.on("error", () => {}));
  return pool;
}

/** The part of the options that a single connection shares with the pool. */
export function connectionOptions({
  url,
  passwordFile,
}: Pick<DatabaseOptions, "url" | "passwordFile">) {
  const parsed = new URL(url);
  return {
    host: parsed.hostname,
    port: Number(parsed.port || 5432),
    database: decodeURIComponent(parsed.pathname.slice(1)),
    user: decodeURIComponent(parsed.username),
    password:
      passwordFile === undefined
        ? decodeURIComponent(parsed.password)
        : async () => (await readFile(passwordFile, "utf8")).trim(),
    ssl: sslOption(parsed.searchParams.get("sslmode")),
    connectionTimeoutMillis: CONNECT_LIMIT_MS,
    application_name: "tradingbots",
  };
}

/** @throws Error for any other mode: it must not be taken for one that looks at no certificate */
function sslOption(mode: string | null): boolean | { readonly rejectUnauthorized: false } {
  switch (mode) {
    case null:
    case "disable":
      return false;
    case "require":
      return { rejectUnauthorized: false };
    case "verify-full":
      return true;
    default:
      throw new Error(`sslmode=${mode}: use disable, require or verify-full`);
  }
}

/** What row-level security is told for the length of one transaction. */
export type Tenant =
  | { readonly userId: string }
  | { readonly botId: string }
  | { readonly botIds: readonly string[] }
  | { readonly userIds: readonly string[] };

/**
 * Runs `work` in one transaction that sees the rows of one user or bot, or of some, and no others. It commits when `work`
 * returns and rolls back when it throws.
 */
export async function asTenant<T>(
  pool: Pick<Database, "connect">,
  tenant: Tenant,
  work: (database: Queryable) => Promise<T>,
): Promise<T> {
  return inTransaction(pool, async (database) => {
    await database.query("select set_config($1, $2, true)", settingOf(tenant));
    return work(database);
  });
}

/**
 * Runs `work` in one transaction that sees no tenant's rows until it says whose. Every statement sees what was committed before
 * it began, whatever the role's default is: who has waited for a lock must see what its holder wrote.
 */
export async function inTransaction<T>(
  pool: Pick<Database, "connect">,
  work: (database: Queryable) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  const noteBroken = (error: Error) => void (broken = error);
  client.on("error", noteBroken); // the pool listens to idle ones only; unheard, it would end us
  try {
    await client.query("begin isolation level read committed");
    const result = await work(client);
    await client.query("commit");
    return result;
  } catch (error) {
    broken ??= isUnanswered(error) ? error : await rollBack(client);
    throw error;
  } finally {
    client.release(broken); // the pool listens again
    client.off("error", noteBroken);
  }
}

function settingOf(tenant: Tenant): [name: string, value: string] {
  if ("userId" in tenant) return ["app.user_id", tenant.userId];
  if ("botId" in tenant) return ["app.bot_id", tenant.botId];
  // An id is a UUID or a DNS label: it has no comma.
  if ("userIds" in tenant) return ["app.user_ids", tenant.userIds.join(",")];
  return ["app.bot_ids", tenant.botIds.join(",")];
}

/** What the server has not answered in time keeps the connection: whatever else were asked on it would wait behind it. */
function isUnanswered(error: unknown): error is Error {
  return error instanceof Error && error.message === "Query read timeout"; // node-postgres has no class for it
}

/** An error means that the connection is of no further use. */
async function rollBack(client: PoolClient): Promise<Error | undefined> {
  try {
    await client.query("rollback");
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error("while rolling back", { cause: error });
  }
}

/** For look-ups by key: the row, or undefined. More than one row is a mistake of ours. */
export function atMostOne<Row>(rows: readonly Row[]): Row | undefined {
  if (rows.length > 1) throw new Error(`expected at most one row and got ${rows.length}`);
  return rows[0];
}
