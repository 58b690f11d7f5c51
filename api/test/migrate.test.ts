import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { startPostgres, type Postgres } from "../../hack/postgres/postgres.ts";
import { migrate, readMigrations } from "../src/migrate/migrate.ts";
import { MIGRATIONS } from "./database.ts";

let postgres: Postgres;
let directory: string;
beforeAll(async () => {
  postgres = await startPostgres();
  directory = await mkdtemp(join(tmpdir(), "migrate-"));
});
afterAll(async () => {
  await postgres.stop();
  await rm(directory, { recursive: true });
});

const passwordFile = (role: string) => join(directory, role);
const setPasswords = (suffix: string) =>
  Promise.all(
    ["api", "auth", "journal", "admin", "worker"].map((role) =>
      writeFile(passwordFile(role), `${role}-password${suffix}\n`),
    ),
  );
const migration = (name: string, sql: string) => ({ name, sql, checksum: sql });

async function runMain(database: string): Promise<{ code: number | null; output: string }> {
  const main = join(import.meta.dirname, "..", "src", "migrate", "main.ts");
  const child = spawn(process.execPath, [main], {
    env: {
      MIGRATE_DATABASE_URL: postgres.url(database),
      API_DATABASE_PASSWORD_FILE: passwordFile("api"),
      AUTH_DATABASE_PASSWORD_FILE: passwordFile("auth"),
      JOURNAL_DATABASE_PASSWORD_FILE: passwordFile("journal"),
      ADMIN_DATABASE_PASSWORD_FILE: passwordFile("admin"),
      WORKER_DATABASE_PASSWORD_FILE: passwordFile("worker"),
    },
  });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
  await once(child, "close");
  return { code: child.exitCode, output };
}

test("two migrators at once apply everything once; passwords follow their files", async () => {
  const database = await postgres.createDatabase();
  await setPasswords("");
  const runs = await Promise.all([runMain(database), runMain(database)]);
  expect(runs.map(({ code }) => code)).toEqual([0, 0]);
  const names = (await readMigrations(MIGRATIONS)).map(({ name }) => name).join(", ");
  expect(runs.map(({ output }) => output).toSorted()).toEqual([
    `applied ${names}\n`,
    "the database is up to date\n",
  ]);

  await setPasswords("-2");
  expect((await runMain(database)).code).toBe(0);
  const login = async (password: string) => {
    const client = new Client(postgres.url(database, { name: "tradingbots_api", password }));
    await client.connect();
    await client.end();
  };
  await login("api-password-2");
  await expect(login("api-password")).rejects.toThrow(/password authentication failed/);
});

test.for<[power: string, give: string, take: string]>([
  ["bypassrls", "alter role ROLE bypassrls", "alter role ROLE nobypassrls"],
  ["createdb", "alter role ROLE createdb", "alter role ROLE nocreatedb"],
  [
    "membership in pg_read_all_data",
    "grant pg_read_all_data to ROLE",
    "revoke pg_read_all_data from ROLE",
  ],
])("a role that exists with %s is refused", async ([power, give, take]) => {
  const name = await postgres.createDatabase();
  await setPasswords("");
  expect((await runMain(name)).code).toBe(0);
  const connection = new Client(postgres.url(name));
  await connection.connect();
  const change = (sql: string) => connection.query(sql.replace("ROLE", "tradingbots_auth"));
  await change(give);
  const refused = await runMain(name);
  await change(take);
  await connection.end();
  expect(refused.code).not.toBe(0);
  expect(refused.output).toContain(`take this from it: ${power}`);
});

test("a changed, missing or late file is refused and a failing one leaves nothing", async () => {
  const connection = new Client(postgres.url(await postgres.createDatabase()));
  await connection.connect();
  const first = migration("0002_a.sql", "create table a (id int)");
  expect(await migrate(connection, [first])).toEqual(["0002_a.sql"]);
  expect(await migrate(connection, [first])).toEqual([]);
  await expect(migrate(connection, [migration("0002_a.sql", "select 1")])).rejects.toThrow(
    /changed/,
  );
  await expect(migrate(connection, [])).rejects.toThrow(/this version lacks/);
  const late = migration("0001_late.sql", "select 1");
  await expect(migrate(connection, [late, first])).rejects.toThrow(/comes before/);
  const broken = migration("0003_b.sql", "create table b (id int); select 1/0");
  await expect(migrate(connection, [first, broken])).rejects.toThrow(/while applying 0003_b.sql/);
  const { rows } = await connection.query("select to_regclass('b') as b");
  expect(rows).toEqual([{ b: null }]);
  await connection.end();
});

test("a migration that waits for a table lets others use it, and comes to its end when it is free", async () => {
  const url = postgres.url(await postgres.createDatabase());
  const [owner, holder, reader] = [new Client(url), new Client(url), new Client(url)];
  for (const client of [owner, holder, reader]) await client.connect();
  await migrate(owner, [migration("0001_a.sql", "create table a (id int)")]);
  await holder.query("begin; select from a");
  const files = [
    migration("0001_a.sql", "create table a (id int)"),
    migration("0002_b.sql", "alter table a add column b int"),
  ];
  const migrating = migrate(owner, files);
  await vi.waitUntil(async () => {
    const { rowCount } = await holder.query("select from pg_locks where not granted");
    return rowCount === 1;
  });
  await reader.query("set statement_timeout = '8s'");
  await reader.query("select from a"); // behind whoever waits
  await holder.query("commit");
  expect(await migrating).toEqual(["0002_b.sql"]);
  for (const client of [owner, holder, reader]) await client.end();
});

/** A database in the state of an earlier version, whose owner is bound by row-level security. */
async function databaseBefore(fileName: string, ownerName: string) {
  await setPasswords("");
  await runMain(await postgres.createDatabase()); // roles are the server's, not a database's
  const name = await postgres.createDatabase();
  const superuser = new Client(postgres.url(name));
  await superuser.connect();
  const owner = { name: ownerName, password: "owner-password" };
  await superuser.query(`create role ${owner.name} login createrole password '${owner.password}'`);
  await superuser.query(`alter schema public owner to ${owner.name}`);
  const connection = new Client(postgres.url(name, owner));
  await connection.connect();
  const migrations = await readMigrations(MIGRATIONS);
  await migrate(
    connection,
    migrations.filter(({ name: each }) => each < fileName),
  );
  return {
    superuser,
    migrate: () => migrate(connection, migrations),
    end: async () => {
      await connection.end();
      await superuser.end();
    },
  };
}

test("what bots told before stays where it was and gets a month, also what a wrong clock dated", async () => {
  const database = await databaseBefore("0023", "months_owner");
  await database.superuser.query(
    `insert into events (user_id, bot_id, epoch, sequence, kind, message, at)
     select gen_random_uuid(), 'bot', 1, n, 'test', n, at
       from (values (1, timestamptz '2020-02-29T23:59Z'), (2, now()), (3, now() + interval '40 years'),
                    (4, date_trunc('month', now() at time zone 'UTC') at time zone 'UTC' + interval '45 days'))
         as told (n, at)`,
  );
  const file = "select pg_relation_filenode('PLACE') as node";
  const before = await database.superuser.query(file.replace("PLACE", "events"));
  await database.migrate();
  const { rows } = await database.superuser.query<{ place: string; messages: string }>(
    `select tableoid::regclass::text as place, string_agg(message, ' ' order by message) as messages
       from events group by 1 order by 2`,
  );
  expect(
    rows.map(({ place, messages }) => [place.replaceAll(/\d{4}_\d\d/g, "M"), messages]),
  ).toEqual([
    ["events_before_M", "1 2"],
    ["events_astray", "3"],
    ["events_M", "4"],
  ]);
  const after = await database.superuser.query(file.replace("PLACE", rows[0]?.place ?? ""));
  expect(after.rows).toEqual(before.rows);
  await database.end();
});

test("baselines of before learn what the bot had realised, though row-level security binds the tables' owner", async () => {
  const { superuser, ...database } = await databaseBefore("0004", "baseline_owner");
  const user = "00000000-0000-4000-8000-00000000000a";
  await superuser.query(
    `insert into users (id, email, password_hash, namespace) values ('${user}', 'a@b.c', 'x', 'n');
     insert into bots (user_id, id, namespace) values ('${user}', 'bot', 'n'), ('${user}', 'new', 'n');
     insert into day_baselines values ('${user}', 'bot', '2026-01-02', 1000, '2026-01-02T00:00Z'),
                                      ('${user}', 'new', '2026-01-02', 1000, '2026-01-02T00:00Z');
     insert into trades (user_id, bot_id, id, epoch, sequence, symbol, side, quantity, entry_price, pnl,
                         fees, opened_at, closed_at)
     select '${user}', 'bot', gen_random_uuid(), 1, 1, 'X', 'long', 1, 1, pnl, 0, at, at
       from (values (2.5, timestamptz '2026-01-01T10:00Z'), (-1, '2026-01-01T11:00Z'),
                    (9, '2026-01-02T01:00Z')) as closed (pnl, at)`,
  );
  await database.migrate();
  const { rows } = await superuser.query(
    "select bot_id, starts_from from day_baselines order by 1",
  );
  expect(rows).toEqual([
    { bot_id: "bot", starts_from: "1.5" },
    { bot_id: "new", starts_from: "0" },
  ]);
  await database.end();
});
