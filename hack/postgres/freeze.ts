import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/**
 * Stops a server's process and its children where they are, as a hung disk or a paused machine does: connections stay open, new ones
 * are taken by the kernel, and nobody answers. Gives back how to let them go on.
 */
export async function freezeProcesses(pid: number): Promise<() => void> {
  process.kill(pid, "SIGSTOP"); // first: it makes no more children
  const children = await childrenOf(pid);
  for (const child of children) signal(child, "SIGSTOP");
  return () => {
    for (const stopped of [...children, pid]) signal(stopped, "SIGCONT");
  };
}

async function childrenOf(pid: number): Promise<readonly number[]> {
  const { stdout } = await run("ps", ["-A", "-o", "pid=,ppid="]);
  const pairs = stdout.split("\n").map((line) => line.trim().split(/\s+/).map(Number));
  return pairs.flatMap(([child, parent]) => (parent === pid && child !== undefined ? [child] : []));
}

function signal(pid: number, name: "SIGSTOP" | "SIGCONT"): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended by itself.
  }
}
