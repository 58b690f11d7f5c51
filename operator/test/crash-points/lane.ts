import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundle } from "../../../hack/images/bundle.ts";
import { kubeconfigTo, openClusterLine } from "../cluster-line.ts";
import { type FakeJournal, startFakeJournal } from "../fake-journal.ts";
import { type FakeVaultServer, startFakeVault } from "../fake-vault-server.ts";
import { Line } from "../line.ts";
import { type Platform, startPlatform } from "../platform.ts";

/** The operator as its image has it. */
export interface Program {
  /** Arguments of Node that run it. */
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  remove(): Promise<void>;
}

/** Bundled and compiled once for all processes: a start costs half. */
export async function buildOperator(): Promise<Program> {
  const directory = await mkdtemp(join(tmpdir(), "operator-program-"));
  await bundle({ entries: { operator: "operator/src/main.ts" }, small: true }, directory);
  const file = join(directory, "operator.mjs");
  const environment = { NODE_COMPILE_CACHE: join(directory, "compiled") };
  // Who is killed keeps nothing for others: this one ends by itself, for want of a configuration.
  await once(spawn(process.execPath, [file], { env: environment, stdio: "ignore" }), "exit");
  return {
    arguments: [file],
    environment,
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

/** Where cases run, one after the other: an API server of its own, Vault, journal, and the operator's lines to them. */
export interface Lane {
  readonly program: Program;
  readonly platform: Platform;
  readonly vault: FakeVaultServer;
  readonly journal: FakeJournal;
  /** To API server, Vault and journal. */
  readonly lines: readonly [Line, Line, Line];
  /** Leads to the API server over its line. */
  readonly kubeconfigPath: string;
  stop(): Promise<void>;
}

export async function startLane(program: Program): Promise<Lane> {
  const [platform, vault, journal] = await Promise.all([
    startPlatform(),
    startFakeVault(),
    startFakeJournal(),
  ]);
  const clusterLine = await openClusterLine(platform.kubeconfigPath);
  const lines = [
    clusterLine,
    await Line.open({ target: vault.url }),
    await Line.open({ target: journal.url }),
  ] as const;
  return {
    program,
    platform,
    vault,
    journal,
    lines,
    kubeconfigPath: await kubeconfigTo(clusterLine.url, platform.kubeconfigPath),
    stop: async () => {
      await Promise.all(lines.map((line) => line.close()));
      await Promise.all([platform.stop(), vault.stop(), journal.stop()]);
    },
  };
}
