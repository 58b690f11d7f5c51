import { spawn, spawnSync } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

// Starts Postgres in the demo's image: makes the database on first start, then passes signals on.
//   PGDATA                  where the database lies, below a writable volume
//   POSTGRES_PASSWORD_FILE  holds the superuser's password (or POSTGRES_PASSWORD does); read on first start only
// Arguments go to the server: `-c max_connections=200`.

const BIN = "/opt/postgres/bin";
const data = process.env["PGDATA"] ?? "/var/lib/postgresql/data";

if (!existsSync(join(data, "PG_VERSION"))) initialise(superuserPassword());
const settings = ["-c", "unix_socket_directories=/tmp", "-c", "listen_addresses=*"];
const args = ["-D", data, ...settings, ...process.argv.slice(2)];
const server = spawn(join(BIN, "postgres"), args, { stdio: "inherit" });
// Kubernetes sends SIGTERM, at which Postgres would wait until every client has gone; SIGINT ends them.
for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => server.kill("SIGINT"));
server.on("exit", (code) => process.exit(code ?? 1));

function superuserPassword(): string {
  const file = process.env["POSTGRES_PASSWORD_FILE"];
  const password = file ? readFileSync(file, "utf8").trim() : process.env["POSTGRES_PASSWORD"];
  if (!password) throw new Error("set POSTGRES_PASSWORD_FILE: there is no database yet");
  return password;
}

/** Beside its place and then renamed, so that a pod that is killed halfway leaves no half database. */
function initialise(password: string): void {
  const directory = `${data}.new`;
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const secret = "/tmp/superuser-password";
  writeFileSync(secret, password, { mode: 0o600 });
  const encoding = ["--encoding=UTF8", "--locale=C"];
  const access = ["--username=postgres", "--auth=scram-sha-256", `--pwfile=${secret}`];
  const options = ["-D", directory, ...encoding, ...access, "--no-instructions"];
  const initdb = spawnSync(join(BIN, "initdb"), options, { stdio: "inherit" });
  rmSync(secret);
  if (initdb.status !== 0) throw new Error(`initdb ended with ${initdb.status ?? initdb.signal}`);
  appendFileSync(join(directory, "pg_hba.conf"), "host all all all scram-sha-256\n");
  renameSync(directory, data);
}
