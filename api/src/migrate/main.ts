import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Client } from "pg";
import { z } from "zod";
import { connectionOptions } from "../database.ts";
import { migrate, readMigrations, withMigrationLock } from "./migrate.ts";
import { ensureRoles } from "./roles.ts";

const Config = z.object({
  MIGRATE_DATABASE_URL: z.url(),
  MIGRATE_DATABASE_PASSWORD_FILE: z.string().min(1).optional(),
  API_DATABASE_PASSWORD_FILE: z.string().min(1),
  AUTH_DATABASE_PASSWORD_FILE: z.string().min(1),
  JOURNAL_DATABASE_PASSWORD_FILE: z.string().min(1),
  ADMIN_DATABASE_PASSWORD_FILE: z.string().min(1),
  WORKER_DATABASE_PASSWORD_FILE: z.string().min(1),
  /** The image has the files beside the bundle; in the repository they are where the default says. */
  MIGRATIONS_DIRECTORY: z
    .string()
    .min(1)
    .default(
      import.meta.filename.endsWith(".ts")
        ? join(import.meta.dirname, "..", "..", "migrations")
        : join(import.meta.dirname, "migrations"),
    ),
});

const config = Config.safeParse(process.env);
if (!config.success) throw new Error(`invalid configuration\n${z.prettifyError(config.error)}`);
const env = config.data;

const connection = new Client(
  connectionOptions({
    url: env.MIGRATE_DATABASE_URL,
    passwordFile: env.MIGRATE_DATABASE_PASSWORD_FILE,
  }),
);
await connection.connect();
try {
  const passwords = {
    api: await secret(env.API_DATABASE_PASSWORD_FILE),
    auth: await secret(env.AUTH_DATABASE_PASSWORD_FILE),
    journal: await secret(env.JOURNAL_DATABASE_PASSWORD_FILE),
    admin: await secret(env.ADMIN_DATABASE_PASSWORD_FILE),
    worker: await secret(env.WORKER_DATABASE_PASSWORD_FILE),
  };
  const migrations = await readMigrations(env.MIGRATIONS_DIRECTORY);
  const applied = await withMigrationLock(connection, async () => {
    await ensureRoles(connection, passwords);
    return migrate(connection, migrations);
  });
  console.log(
    applied.length === 0 ? "the database is up to date" : `applied ${applied.join(", ")}`,
  );
} finally {
  await connection.end();
}

async function secret(path: string): Promise<string> {
  return (await readFile(path, "utf8")).trim();
}
