import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";
import { escapeIdentifier, escapeLiteral } from "pg";
import type { Queryable } from "../database.ts";

/** The roles that processes log in as. None owns a table, none passes row-level security by. */
export const ROLES = {
  api: "tradingbots_api",
  auth: "tradingbots_auth",
  journal: "tradingbots_journal",
  admin: "tradingbots_admin",
  worker: "tradingbots_worker",
} as const;

const ROLE_KEYS = [
  "api",
  "auth",
  "journal",
  "admin",
  "worker",
] as const satisfies (keyof typeof ROLES)[];
type RoleKey = (typeof ROLE_KEYS)[number];

/**
 * Makes the login roles, or gives existing ones their password.
 * @throws Error when an existing one is mightier than a new one would be. Only a superuser could take that from it.
 */
export async function ensureRoles(
  connection: Queryable,
  passwords: Readonly<Record<RoleKey, string>>,
): Promise<void> {
  for (const key of ROLE_KEYS) await ensureRole(connection, ROLES[key], passwords[key]);
}

async function ensureRole(connection: Queryable, role: string, password: string): Promise<void> {
  const name = escapeIdentifier(role);
  const verifier = escapeLiteral(scramVerifier(password, randomBytes(16)));
  const { rows } = await connection.query("select 1 from pg_roles where rolname = $1", [role]);
  if (rows.length === 0) await connection.query(`create role ${name} login password ${verifier}`);
  else await connection.query(`alter role ${name} login password ${verifier}`);

  const { rows: excess } = await connection.query<{ power: string }>(EXCESS, [role]);
  if (excess.length > 0) {
    const powers = excess.map(({ power }) => power).join(", ");
    throw new Error(`role ${role} may do more than it should: take this from it: ${powers}`);
  }
}

const EXCESS = `
  select power
    from pg_roles r, lateral (values
         (rolsuper, 'superuser'), (rolbypassrls, 'bypassrls'), (rolcreaterole, 'createrole'),
         (rolcreatedb, 'createdb'), (rolreplication, 'replication')) as held (is_held, power)
   where rolname = $1 and is_held
   union all
  select 'membership in ' || roleid::regrole
    from pg_auth_members where member = (select oid from pg_roles where rolname = $1)`;

/** RFC 5803's form of a password, so that the password itself never appears in a statement or the server's log. */
export function scramVerifier(password: string, salt: Buffer): string {
  if (!/^[\x20-\x7e]{8,}$/.test(password)) {
    throw new Error("a role's password has at least 8 characters, all of them printable ASCII");
  }
  const iterations = 4096; // Postgres' own default
  const salted = pbkdf2Sync(password, salt, iterations, 32, "sha256");
  const clientKey = createHmac("sha256", salted).update("Client Key").digest();
  const storedKey = createHash("sha256").update(clientKey).digest("base64");
  const serverKey = createHmac("sha256", salted).update("Server Key").digest("base64");
  return `SCRAM-SHA-256$${iterations}:${salt.toString("base64")}$${storedKey}:${serverKey}`;
}
