import { accountView } from "../accounts/view.ts";
import { botView } from "../bots/view.ts";
import { asTenant, type Database, type Queryable } from "../database.ts";
import type { Kube } from "../kube.ts";
import { DATASETS } from "./datasets.ts";
import { type Format, FORMATS } from "./formats.ts";
import type { Job } from "./job-store.ts";

/** Rows that are in memory at a time. */
const PAGE_ROWS = 1_000;
/** Of one row of `personal_data_parts`. */
const PART_CHARACTERS = 256 * 1024;

export interface ExportDeps {
  /** Of the API's role: it reads as the user, so nothing of anybody else can get in. */
  readonly pool: Database;
  readonly workerPool: Database;
  readonly kube: Pick<Kube, "bots" | "accounts">;
}

type Row = Readonly<Record<string, unknown>>;
/** Pages of rows, at least one, which may be empty: a file without rows has its columns all the same. */
type Rows = AsyncIterable<{ readonly columns: readonly string[]; readonly rows: readonly Row[] }>;

/** Writes all that is the user's into files. Begun anew, it starts over. */
export async function writeExport(deps: ExportDeps, job: Job): Promise<void> {
  const userId = job.user_id;
  await asTenant(deps.workerPool, { userId }, (database) =>
    database.query("delete from personal_data_parts where user_id = $1 and job_id = $2", [
      userId,
      job.id,
    ]),
  );
  const write = (name: string, rows: Rows) => writeFiles(deps.workerPool, job, { name, rows });
  for (const [name, sql] of Object.entries(DATASETS)) {
    await asTenant(deps.pool, { userId }, (database) => write(name, pagesOf(database, sql)));
  }
  const { bots, accounts } = deps.kube;
  await write(
    "bots",
    objectsOf(deps, userId, { table: "bots", get: (key) => bots.get(key), view: botView }),
  );
  await write(
    "accounts",
    objectsOf(deps, userId, {
      table: "accounts",
      get: (key) => accounts.get(key),
      view: accountView,
    }),
  );
}

async function* pagesOf(database: Queryable, sql: string): Rows {
  await database.query(`declare export_rows no scroll cursor for ${sql}`);
  for (;;) {
    const { rows, fields } = await database.query<Record<string, unknown>>(
      `fetch ${PAGE_ROWS} from export_rows`,
    );
    yield { columns: fields.map(({ name }) => name), rows };
    if (rows.length < PAGE_ROWS) return;
  }
}

interface Objects<T> {
  readonly table: "bots" | "accounts";
  readonly get: (key: { namespace: string; name: string }) => Promise<T | undefined>;
  readonly view: (object: T) => object;
}

/** Custom resources as the user sees them; what has none any more is told by its row. */
async function* objectsOf<T>(
  { pool }: ExportDeps,
  userId: string,
  { table, get, view }: Objects<T>,
): Rows {
  const { rows } = await asTenant(pool, { userId }, (database) =>
    database.query<{ id: string; namespace: string; created_at: Date; retired_at: Date | null }>(
      `select id, namespace, created_at, retired_at from ${table} where user_id = $1 order by id`,
      [userId],
    ),
  );
  const columns = ["id", "createdAt", "retiredAt", "settings"];
  yield { columns, rows: [] };
  for (const { id, namespace, created_at: createdAt, retired_at: retiredAt } of rows) {
    const object = await get({ namespace, name: id });
    const settings = object === undefined ? null : view(object);
    yield { columns, rows: [{ id, createdAt, retiredAt, settings }] };
  }
}

interface NamedRows {
  readonly name: string;
  readonly rows: Rows;
}

async function writeFiles(
  workerPool: Database,
  job: Job,
  { name, rows }: NamedRows,
): Promise<void> {
  const files = FORMATS.map((format) => createFile(workerPool, job, { name, format }));
  for await (const page of rows) {
    for (const file of files) await file.write(page.columns, page.rows);
  }
  for (const file of files) await file.end();
}

interface NamedFormat {
  readonly name: string;
  readonly format: Format;
}

/** A file that goes to the database in pieces. */
function createFile(workerPool: Database, { user_id, id }: Job, { name, format }: NamedFormat) {
  const file = `${name}.${format.extension}`;
  let text: string | undefined;
  let isFirst = true;
  let number = 0;

  async function write(columns: readonly string[], rows: readonly Row[]): Promise<void> {
    text ??= format.begin(columns);
    for (const row of rows) {
      text += format.row(row, isFirst);
      isFirst = false;
    }
    if (text.length >= PART_CHARACTERS) await store();
  }

  async function store(): Promise<void> {
    const content = text ?? "";
    await asTenant(workerPool, { userId: user_id }, (database) =>
      database.query(
        "insert into personal_data_parts (user_id, job_id, file, number, content) values ($1, $2, $3, $4, $5)",
        [user_id, id, file, number, content],
      ),
    );
    number++;
    text = "";
  }

  return {
    write,
    end: async () => {
      text = `${text ?? ""}${format.end}`;
      await store();
    },
  };
}
