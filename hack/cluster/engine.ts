import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync } from "node:fs";
import { chmod, copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { z } from "zod";
import { createDocker, type Docker } from "./docker.ts";
import { findProcess } from "./find-process.ts";
import { inspectMachine, whyNoEngine, type Machine } from "./machine.ts";
import { withoutDockerRules } from "./firewall.ts";

type Report = (line: string) => void;

/** What the engine keeps (images, containers) and what it needs while it runs; `stopEngine` removes both. */
const DATA = "/var/lib/tradingbots-engine";
const RUN = "/run/tradingbots-engine";
const HOST = `unix://${RUN}/docker.sock`;
const CONFIGURATION = join(DATA, "daemon.json");
const BEFORE = join(DATA, "network-before.json");
const LOG = join(DATA, "dockerd.log");

const COMMAND = ["dockerd", "--config-file", CONFIGURATION];

const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 60_000;
const POLL_MS = 250;
/** docker.io alone, and what it only recommends: kind needs iptables; the runtime wrapper jq; the node image mmdebstrap. */
const PACKAGES = ["docker.io", "containerd", "runc", "iptables", "jq", "mmdebstrap"];

/** What dockerd changes on the machine and `stopEngine` puts back. */
const NetworkState = z.object({ ipForward: z.string(), forwardPolicy: z.string() });
type NetworkState = z.infer<typeof NetworkState>;

export interface Engine {
  readonly docker: Docker;
  /** Whether `up` started it, so that `down` ends it. */
  readonly isOurs: boolean;
  /** Its containers run without CAP_SYS_RESOURCE. */
  readonly isConfined: boolean;
}

/** The engine to use: the one that the docker command reaches as it is, or the one that an earlier `up` started. */
export async function findEngine(): Promise<Engine | undefined> {
  const given = createDocker(process.env["DOCKER_HOST"]);
  if (given.host !== HOST && (await given.answers())) {
    return { docker: given, isOurs: false, isConfined: false };
  }
  if ((await engineProcess()) === undefined) return undefined;
  const own = createDocker(HOST);
  return (await own.answers()) ? ourEngine(own, await inspectMachine()) : undefined;
}

/** Finds an engine, or installs and starts Debian's. */
export async function ensureEngine(report: Report): Promise<Engine> {
  const found = await findEngine();
  if (found !== undefined) return found;
  const machine = await inspectMachine();
  const reason = whyNoEngine(machine);
  if (reason !== undefined) throw new Error(reason);
  await installPackages(report);
  const started = await findEngine(); // where systemd runs, the package starts it
  if (started !== undefined) return started;
  report("starting the Docker engine");
  return startEngine(machine);
}

async function installPackages(report: Report): Promise<void> {
  const { stdout } = await execa("dpkg-query", ["-W", "-f=${Package} ${Status}\\n", ...PACKAGES], {
    reject: false,
  });
  const missing = PACKAGES.filter((name) => !stdout.includes(`${name} install ok installed`));
  if (missing.length === 0) return;
  report(`installing Debian's Docker engine (${missing.join(", ")})`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  await execa("apt-get", ["update", "-qq"], { env });
  await execa("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...missing], { env });
}

async function startEngine(machine: Machine): Promise<Engine> {
  await endProcess(); // an earlier run may have left one that does not answer
  await mkdir(DATA, { recursive: true });
  await mkdir(RUN, { recursive: true, mode: 0o700 });
  if (!existsSync(BEFORE)) await writeFile(BEFORE, JSON.stringify(await networkState()));
  await writeConfiguration(machine);
  const log = openSync(LOG, "w");
  const [command = "", ...args] = COMMAND;
  const child = spawn(command, args, { detached: true, stdio: ["ignore", log, log] });
  closeSync(log);
  await once(child, "spawn");
  child.unref();
  const docker = createDocker(HOST);
  const deadline = Date.now() + START_LIMIT_MS;
  while (!(await docker.answers())) {
    if (child.exitCode !== null || Date.now() > deadline) {
      const lines = (await readFile(LOG, "utf8")).trimEnd().split("\n").slice(-5).join("\n");
      throw new Error(`dockerd did not start; its last lines (${LOG}):\n${lines}`);
    }
    await sleep(POLL_MS);
  }
  return ourEngine(docker, machine);
}

function ourEngine(docker: Docker, machine: Machine): Engine {
  return { docker, isOurs: true, isConfined: !machine.hasSysResource };
}

async function writeConfiguration(machine: Machine): Promise<void> {
  const wrapper = join(DATA, "runc-without-sys-resource");
  await copyFile(join(import.meta.dirname, "runc-without-sys-resource.sh"), wrapper);
  await chmod(wrapper, 0o755);
  const wrapped = { runtimes: { wrapped: { path: wrapper } }, "default-runtime": "wrapped" };
  const configuration = {
    "data-root": join(DATA, "docker"),
    "exec-root": join(RUN, "exec"),
    pidfile: join(RUN, "dockerd.pid"),
    hosts: [HOST],
    bridge: "none", // kind brings its own network; image builds here only copy
    ...(machine.hasSysResource ? {} : wrapped),
  };
  await writeFile(CONFIGURATION, JSON.stringify(configuration, null, 2));
}

/**
 * Ends the engine that `ensureEngine` started and removes what it brought: process, rules, mounts and files. The caller
 * has removed containers and networks.
 */
export async function stopEngine(): Promise<void> {
  await endProcess();
  await unmountBelow([DATA, RUN]);
  if (existsSync(BEFORE)) {
    await restoreNetworkState();
    await removeCgroups();
  }
  await rm(RUN, { recursive: true, force: true });
  await rm(DATA, { recursive: true, force: true });
}

/** dockerd ends its containers and its containerd with itself. */
async function endProcess(): Promise<void> {
  const pid = await engineProcess();
  if (pid === undefined) return;
  process.kill(pid, "SIGTERM");
  const deadline = Date.now() + STOP_LIMIT_MS;
  while ((await engineProcess()) === pid) {
    if (Date.now() > deadline) throw new Error(`dockerd (process ${pid}) does not end; see ${LOG}`);
    await sleep(POLL_MS);
  }
}

/** A recorded process id could name a stranger by now, and would be missing when an earlier run was cut off. */
function engineProcess(): Promise<number | undefined> {
  return findProcess((argv) => argv.join(" ") === COMMAND.join(" "));
}

/** Deepest first; fails when something stays mounted, because what follows removes the directories. */
async function unmountBelow(directories: readonly string[]): Promise<void> {
  const mounts = await readFile("/proc/self/mounts", "utf8");
  const paths = mounts.split("\n").map((line) => line.split(" ")[1] ?? "");
  const below = paths.filter((path) =>
    directories.some((directory) => path.startsWith(`${directory}/`)),
  );
  for (const path of below.toReversed()) await execa("umount", [path]);
}

/** Docker leaves its empty control groups behind; rmdir refuses those in use. */
async function removeCgroups(): Promise<void> {
  const paths = ["/sys/fs/cgroup/docker*", "/sys/fs/cgroup/*/docker", "/sys/fs/cgroup/*/docker/*"];
  const any = paths.flatMap((path) => ["-o", "-path", path]).slice(1);
  const docker = ["(", ...any, ")"];
  const remove = ["-depth", "-type", "d", ...docker, "-exec", "rmdir", "{}", "+"];
  await execa("find", ["/sys/fs/cgroup", ...remove], { reject: false });
}

const IP_FORWARD = "/proc/sys/net/ipv4/ip_forward";

async function networkState(): Promise<NetworkState> {
  const { stdout } = await execa("iptables", ["-S", "FORWARD"]);
  return {
    ipForward: (await readFile(IP_FORWARD, "utf8")).trim(),
    forwardPolicy: /^-P FORWARD (\w+)$/m.exec(stdout)?.[1] ?? "ACCEPT",
  };
}

async function restoreNetworkState(): Promise<void> {
  const before = NetworkState.parse(JSON.parse(await readFile(BEFORE, "utf8")));
  const { stdout } = await execa("iptables-save");
  await execa("iptables-restore", { input: withoutDockerRules(stdout) });
  await execa("iptables", ["-P", "FORWARD", before.forwardPolicy]);
  await writeFile(IP_FORWARD, before.ipForward);
}
