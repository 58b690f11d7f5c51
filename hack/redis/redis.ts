import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { freePorts } from "../control-plane/free-ports.ts";
import { guardAgainstOurDeath } from "../control-plane/guard.ts";
import { cacheDirectory, withLock } from "../tools/cache.ts";

const run = promisify(execFile);
const START_LIMIT_MS = 10_000;
/** Debian's server and the libraries that it does not share with everything else. */
const PACKAGES = [
  "redis-tools",
  "libjemalloc2",
  "liblzf1",
  "liblua5.1-0",
  "lua-cjson",
  "lua-bitop",
  "libatomic1",
];

interface Installation {
  readonly program: string;
  readonly libraries: string | undefined;
}

export interface Redis {
  readonly url: string;
  /** Starts it again at the same address after `kill`; what was in it is gone. */
  start(): Promise<void>;
  kill(): Promise<void>;
  /** SIGSTOP: it holds its connections and answers nothing. */
  freeze(): void;
  thaw(): void;
  stop(): Promise<void>;
}

/** A real Redis on loopback, in memory alone. It is the machine's own, or Debian's, unpacked beside the other tools. */
export async function startRedis(): Promise<Redis> {
  const installation = (await installed()) ?? (await unpacked());
  const directory = await mkdtemp(join(tmpdir(), "tradingbots-redis-"));
  const [port = 0] = await freePorts(1);
  let server: ChildProcess | undefined;
  let guard: ChildProcess | undefined;

  async function start(): Promise<void> {
    const options = [
      "--port",
      String(port),
      "--bind",
      "127.0.0.1",
      "--save",
      "",
      "--dir",
      directory,
    ];
    server = spawn(installation.program, options, {
      stdio: "ignore",
      env: installation.libraries === undefined ? {} : { LD_LIBRARY_PATH: installation.libraries },
    });
    guard = guardAgainstOurDeath([server.pid], directory);
    await answering(port, server);
  }

  async function kill(): Promise<void> {
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
    const ended = once(server, "exit");
    server.kill("SIGKILL");
    await ended;
    guard?.kill("SIGKILL");
  }

  await start();
  return {
    url: `redis://127.0.0.1:${port}`,
    start,
    kill,
    freeze: () => void server?.kill("SIGSTOP"),
    thaw: () => void server?.kill("SIGCONT"),
    stop: async () => {
      await kill();
      await rm(directory, { recursive: true });
    },
  };
}

async function installed(): Promise<Installation | undefined> {
  for (const directory of (process.env["PATH"] ?? "").split(delimiter)) {
    for (const name of ["redis-server", "valkey-server"]) {
      const program = join(directory, name);
      if (await isThere(program)) return { program, libraries: undefined };
    }
  }
  return undefined;
}

async function unpacked(): Promise<Installation> {
  const place = join(cacheDirectory, "redis-debian");
  await withLock(`${place}.lock`, async () => {
    if (!(await isThere(place))) await unpack(place);
  });
  const libraries = join(
    place,
    "usr/lib",
    `${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`,
  );
  // Under this name the program is the server.
  return { program: join(place, "usr/bin/redis-server"), libraries };
}

async function unpack(place: string): Promise<void> {
  const building = `${place}.building`;
  await rm(building, { recursive: true, force: true });
  await mkdir(building, { recursive: true });
  try {
    await download(building);
  } catch (error) {
    throw new Error("no redis-server is installed, and Debian's cannot be had: install one", {
      cause: error,
    });
  }
  for (const name of await readdir(building)) {
    if (name.endsWith(".deb")) await run("dpkg-deb", ["-x", name, "."], { cwd: building });
  }
  await rename(join(building, "usr/bin/redis-check-rdb"), join(building, "usr/bin/redis-server"));
  await rename(building, place);
}

async function download(directory: string): Promise<void> {
  const get = () => run("apt-get", ["download", ...PACKAGES], { cwd: directory });
  await get().catch(async () => {
    await run("apt-get", ["update"]); // a fresh machine has no lists yet
    await get();
  });
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function answering(port: number, server: ChildProcess): Promise<void> {
  const deadline = Date.now() + START_LIMIT_MS;
  while (server.exitCode === null && Date.now() < deadline) {
    const socket = connect(port, "127.0.0.1");
    const isUp = await Promise.race([
      once(socket, "connect").then(() => true),
      once(socket, "error").then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (isUp) return;
    await sleep(20);
  }
  throw new Error("redis-server does not start");
}
