import { join } from "node:path";
import { Client } from "pg";
import { startPostgres } from "../../hack/postgres/postgres.ts";
import { migrate, readMigrations } from "../src/migrate/migrate.ts";
import { ensureRoles, ROLES } from "../src/migrate/roles.ts";

export const MIGRATIONS = join(import.meta.dirname, "..", "migrations");

const PASSWORDS = {
  api: "api-password",
  auth: "auth-password",
  journal: "journal-password",
  admin: "admin-password",
  worker: "worker-password",
};

const OWNER = { name: "tradingbots_owner", password: "owner-password" };

/** The schema's owner is no superuser, as at any provider: row-level security and rights bind it too. */
async function migrateAsOwner(superuser: Client, ownerUrl: string): Promise<void> {
  await superuser.query(`create role ${OWNER.name} login createrole password '${OWNER.password}'`);
  await superuser.query(`alter schema public owner to ${OWNER.name}`);
  const owner = new Client(ownerUrl);
  await owner.connect();
  await ensureRoles(owner, PASSWORDS);
  await migrate(owner, await readMigrations(MIGRATIONS));
  await owner.end();
}

/** A real Postgres with the schema in place, and the URLs of the roles. */
export async function startDatabase() {
  const postgres = await startPostgres();
  const name = await postgres.createDatabase();
  const superuser = new Client(postgres.url(name));
  await superuser.connect();
  await migrateAsOwner(superuser, postgres.url(name, OWNER));
  const urlOf = (role: keyof typeof ROLES) =>
    postgres.url(name, { name: ROLES[role], password: PASSWORDS[role] });
  return {
    /** For looking behind the curtain. */
    superuser,
    superuserUrl: postgres.url(name),
    ownerUrl: postgres.url(name, OWNER),
    apiUrl: urlOf("api"),
    authUrl: urlOf("auth"),
    journalUrl: urlOf("journal"),
    adminUrl: urlOf("admin"),
    workerUrl: urlOf("worker"),
    freeze: () => postgres.freeze(),
    /** As after a crash; `superuser` is of no use after it. */
    restart: () => postgres.restart(),
    stop: async () => {
      await superuser.end();
      await postgres.stop();
    },
  };
}
export type TestDatabase = Awaited<ReturnType<typeof startDatabase>>;
