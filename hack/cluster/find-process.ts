import { readdir, readFile } from "node:fs/promises";

/** The id of a process known by its command line; undefined where there is none, or no /proc. */
export async function findProcess(
  matches: (argv: readonly string[]) => boolean,
): Promise<number | undefined> {
  const entries = await readdir("/proc").catch(() => []);
  for (const pid of entries.filter((name) => /^\d+$/.test(name))) {
    const commandLine = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (matches(commandLine.split("\0").slice(0, -1))) return Number(pid);
  }
  return undefined;
}
