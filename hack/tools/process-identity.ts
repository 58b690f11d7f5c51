import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/**
 * Names one life of a process: its id and the moment it began. Process ids are reused, so a file that only holds the id
 * may name a stranger by the time somebody reads it. Answers undefined when no such process lives.
 */
export async function processIdentity(pid: number): Promise<string | undefined> {
  const startedAt = await startTime(pid);
  return startedAt === undefined ? undefined : `${pid} ${startedAt}`;
}

/** The process id in an identity, when exactly that process still lives. */
export async function livingProcess(identity: string): Promise<number | undefined> {
  const pid = Number.parseInt(identity, 10);
  if (!Number.isSafeInteger(pid) || pid <= 1) return undefined;
  return (await processIdentity(pid)) === identity.trim() ? pid : undefined;
}

async function startTime(pid: number): Promise<string | undefined> {
  if (process.platform === "linux") {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
    return stat === undefined ? undefined : startTimeFromStat(stat);
  }
  const ps = await run("ps", ["-o", "lstart=", "-p", String(pid)]).catch(() => undefined);
  return ps?.stdout.trim();
}

/** proc_pid_stat(5): the command name in parentheses may hold spaces; state is field 3, start time field 22. */
export function startTimeFromStat(stat: string): string | undefined {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const isDead = fields[0] === "Z" || fields[0] === "X";
  return isDead ? undefined : fields[22 - 3];
}
