import { join } from "node:path";
import { Client } from "pg";
import { startPostgres } from "../../hack/postgres/postgres.ts";
import { migrate, readMigrations } from "../src/migrate/migrate.ts";
import { ensureRoles, ROLES } from "../src/migrate/roles.ts";

export const MIGRATIONS = join(import.meta.dirname, "..", "migrations");

const PASSWORDS = { api: "api-password", auth: "auth-password", journal: "journal-password" };

/** A real Postgres with the schema in place, and the URLs of the roles. */
export async function startDatabase() {
  const postgres = await startPostgres();
  const name = await postgres.createDatabase();
  const ownerUrl = postgres.url(name);
  const owner = new Client(ownerUrl);
  await owner.connect();
  await ensureRoles(owner, PASSWORDS);
  await migrate(owner, await readMigrations(MIGRATIONS));
  const urlOf = (role: keyof typeof ROLES) =>
    postgres.url(name, { name: ROLES[role], password: PASSWORDS[role] });
  return {
    postgres,
    /** The superuser: for looking behind the curtain. */
    owner,
    ownerUrl,
    apiUrl: urlOf("api"),
    authUrl: urlOf("auth"),
    journalUrl: urlOf("journal"),
    stop: async () => {
      await owner.end();
      await postgres.stop();
    },
  };
}
export type TestDatabase = Awaited<ReturnType<typeof startDatabase>>;
