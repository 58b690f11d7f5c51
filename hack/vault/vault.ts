import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { open, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts } from "../control-plane/free-ports.ts";
import { guardAgainstOurDeath } from "../control-plane/guard.ts";
import { toolPath } from "../tools/tools.ts";
import { initialise, sealStatus, unseal } from "./vault-client.ts";

const START_LIMIT_MS = 30_000;
const START_POLL_MS = 50;
const STOP_LIMIT_MS = 10_000;

export interface VaultServer {
  readonly address: string;
  readonly rootToken: string;
  readonly unsealKey: string;
  /** Ends the server; what was in it is gone. */
  stop(): Promise<void>;
}

/** Starts a real Vault server on loopback, in memory, initialised and unsealed unless told otherwise, for tests. */
export async function startVault({ initialised = true } = {}): Promise<VaultServer> {
  const binary = await toolPath("vault");
  const directory = await mkdtemp(join(tmpdir(), "tradingbots-vault-"));
  const [port = 0, clusterPort = 0] = await freePorts(2);
  const configuration = join(directory, "vault.hcl");
  const logPath = join(directory, "log");
  await writeFile(configuration, serverConfiguration(port, clusterPort));
  const log = await open(logPath, "w");
  const server = spawn(binary, ["server", `-config=${configuration}`], {
    env: { HOME: directory, SKIP_SETCAP: "1" },
    stdio: ["ignore", log.fd, log.fd],
  });
  await log.close();
  const guard = guardAgainstOurDeath([server.pid], directory);

  async function stop(): Promise<void> {
    await end(server);
    guard.kill("SIGKILL");
    await rm(directory, { recursive: true, force: true });
  }

  const address = `http://127.0.0.1:${port}`;
  try {
    await untilAnswering(address, server, logPath);
    if (!initialised) return { address, rootToken: "", unsealKey: "", stop };
    const { unsealKey, rootToken } = await initialise(address);
    await unseal(address, unsealKey);
    return { address, rootToken, unsealKey, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function serverConfiguration(port: number, clusterPort: number): string {
  return `
    storage "inmem" {}
    listener "tcp" {
      address         = "127.0.0.1:${port}"
      cluster_address = "127.0.0.1:${clusterPort}"
      tls_disable     = true
    }
    disable_mlock = true
    api_addr      = "http://127.0.0.1:${port}"
  `;
}

async function untilAnswering(address: string, server: ChildProcess, logPath: string) {
  const deadline = Date.now() + START_LIMIT_MS;
  for (;;) {
    const answer = await sealStatus(address).catch(() => undefined);
    if (answer !== undefined) return;
    if (server.exitCode !== null || Date.now() > deadline) {
      throw new Error(`Vault did not start:\n${await readFile(logPath, "utf8")}`);
    }
    await sleep(START_POLL_MS);
  }
}

async function end(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const exited = once(server, "exit");
  server.kill("SIGTERM");
  const timer = setTimeout(() => server.kill("SIGKILL"), STOP_LIMIT_MS);
  await exited;
  clearTimeout(timer);
}
