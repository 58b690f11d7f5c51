import { type ChildProcess, spawn } from "node:child_process";

/**
 * A test runner may be killed, and no handler of ours runs then. A shell that waits for the end of its input notices, ends
 * the servers and removes their data. Release it, once the servers have ended, by killing it: until then their process ids
 * are theirs.
 */
export function guardAgainstOurDeath(
  pids: readonly (number | undefined)[],
  directory: string,
): ChildProcess {
  const script =
    'read -r _; directory=$1; shift; kill -QUIT "$@"; kill -CONT "$@"; sleep 1; rm -rf "$directory"';
  const known = pids.filter((pid) => pid !== undefined).map(String);
  return spawn("sh", ["-c", script, "sh", directory, ...known], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true, // a signal to our process group must not reach it first
  });
}
