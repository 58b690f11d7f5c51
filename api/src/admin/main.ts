import { parseArgs } from "node:util";
import { Client } from "pg";
import { z } from "zod";
import { recordAudit } from "../audit/record.ts";
import { Email } from "../auth/user.ts";
import { runCommand, UsageError } from "../command-line.ts";
import { atMostOne, connectionOptions, type Queryable } from "../database.ts";
import { lockRoles, Role } from "./administrator.ts";

const USAGE = `admin grant --email ADDRESS [--role viewer|operator|admin]   give a registered user a role (admin), and enable them
admin revoke --email ADDRESS                                  take it away`;

/** The schema's owner: what the API runs as can give nobody a role. */
const Config = z.object({
  MIGRATE_DATABASE_URL: z.url(),
  MIGRATE_DATABASE_PASSWORD_FILE: z.string().min(1).optional(),
});

await runCommand(USAGE, async () => {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { email: { type: "string" }, role: { type: "string", default: "admin" } },
  });
  const [command] = positionals;
  const { data: email } = Email.safeParse(values.email);
  const { data: role } = Role.safeParse(values.role);
  if (command !== "grant" && command !== "revoke") throw new UsageError();
  if (email === undefined) throw new UsageError("--email wants the address of a user");
  if (role === undefined)
    throw new UsageError("--role, or ROLE in a Job, wants viewer, operator or admin");
  const env = Config.parse(process.env);
  const connection = new Client(
    connectionOptions({
      url: env.MIGRATE_DATABASE_URL,
      passwordFile: env.MIGRATE_DATABASE_PASSWORD_FILE,
    }),
  );
  try {
    await connection.connect();
    await setRole(connection, email, command === "grant" ? role : null);
    console.log(command === "grant" ? `${email} is ${role} now` : `${email} has no role now`);
  } finally {
    await connection.end();
  }
});

async function setRole(database: Queryable, address: string, given: Role | null): Promise<void> {
  await database.query("begin");
  await lockRoles(database);
  await database.query("select set_config('app.email', $1, true)", [address]);
  const before = await countAdmins(database);
  const { rows } = await database.query<{ id: string }>(
    `update users set role = $2, disabled_at = case when $2::text is null then disabled_at end
      where email = $1 returning id`,
    [address, given],
  );
  const user = atMostOne(rows);
  if (user === undefined) throw new Error(`nobody is registered as ${address}`);
  if (given !== null && (await isBeingErased(database, user.id))) {
    throw new Error(`${address} has asked to be erased: register another address`);
  }
  if (before > 0 && (await countAdmins(database)) === 0) {
    throw new Error(`${address} is the last admin who is not disabled: make another first`);
  }
  await recordAudit(database, {
    actorKind: "system",
    userId: user.id,
    action: "role.change",
    outcome: "done",
    details: { role: given },
  });
  await database.query("commit");
}

async function isBeingErased(database: Queryable, userId: string): Promise<boolean> {
  await database.query("select set_config('app.user_id', $1, true)", [userId]);
  const { rowCount } = await database.query(
    "select from personal_data_jobs where user_id = $1 and kind = 'erasure' and finished_at is null",
    [userId],
  );
  return rowCount !== 0;
}

async function countAdmins(database: Queryable): Promise<number> {
  const { rowCount } = await database.query(
    "select from users where role = 'admin' and disabled_at is null",
  );
  return rowCount ?? 0;
}
