import { readFile } from "node:fs/promises";

const CAP_SYS_RESOURCE = 24n; // capability(7), linux/capability.h

export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly uid: number;
  /** `ID` and `ID_LIKE` of os-release(5). */
  readonly distributions: readonly string[];
  readonly hasSysResource: boolean;
}

export async function inspectMachine(): Promise<Machine> {
  const osRelease = await readFile("/etc/os-release", "utf8").catch(() => "");
  const status = await readFile("/proc/self/status", "utf8").catch(() => "");
  return {
    platform: process.platform,
    uid: process.getuid?.() ?? -1,
    distributions: distributions(osRelease),
    hasSysResource: boundingSetHolds(status, CAP_SYS_RESOURCE),
  };
}

/** Why no Docker engine can be installed here, in a sentence that says what to do; undefined when it can. */
export function whyNoEngine(machine: Machine): string | undefined {
  const remedy = "Start a Docker engine (or set DOCKER_HOST) and run this again.";
  if (machine.platform !== "linux") return `No Docker engine answers. ${remedy}`;
  if (!machine.distributions.includes("debian")) {
    return `No Docker engine answers, and it is installed automatically on Debian only. ${remedy}`;
  }
  if (machine.uid !== 0) {
    return `No Docker engine answers, and installing one needs root. ${remedy}`;
  }
  return undefined;
}

export function distributions(osRelease: string): readonly string[] {
  const values = osRelease.matchAll(/^ID(?:_LIKE)?="?([^"\n]*)"?$/gm);
  return [...values].flatMap(([, names = ""]) => names.split(" "));
}

export function boundingSetHolds(processStatus: string, capability: bigint): boolean {
  const mask = /^CapBnd:\s*([0-9a-f]+)$/m.exec(processStatus)?.[1];
  return mask === undefined || ((BigInt(`0x${mask}`) >> capability) & 1n) === 1n;
}
