import { createHash } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { livingProcess, processIdentity } from "./process-identity.ts";

const LOCK_POLL_MS = 250;
/** A cold build of the slowest tool takes some ten minutes on two cores. */
const LOCK_WAIT_LIMIT_MS = 60 * 60_000;

/** What is slow to make and safe to keep lives outside the checkout, so every clone shares it. */
export const cacheDirectory = join(
  process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"),
  "tradingbots",
);

/** A short name for content: equal parts, equal name. */
export function contentHash(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash("sha256");
  for (const part of parts) {
    const bytes = typeof part === "string" ? Buffer.from(part) : part;
    hash.update(`${bytes.length}:`).update(bytes); // the length keeps ("ab", "c") and ("a", "bc") apart
  }
  return hash.digest("hex").slice(0, 16);
}

/**
 * Runs `work` while no other process on this machine runs it under the same lock file. A lock whose holder has died is
 * taken over; should two processes do that at the same instant, both work, which wastes time and nothing else, because
 * results are put in place by rename.
 */
export async function withLock<T>(lockPath: string, work: () => Promise<T>): Promise<T> {
  await mkdir(dirname(lockPath), { recursive: true });
  const identity = (await processIdentity(process.pid)) ?? String(process.pid);
  const deadline = Date.now() + LOCK_WAIT_LIMIT_MS;
  while (!(await tryLock(lockPath, identity))) {
    if (Date.now() > deadline) throw new Error(`another process still holds ${lockPath}`);
    await sleep(LOCK_POLL_MS);
  }
  try {
    return await work();
  } finally {
    await rm(lockPath, { force: true });
  }
}

async function tryLock(lockPath: string, identity: string): Promise<boolean> {
  try {
    await writeFile(lockPath, identity, { flag: "wx" });
    return true;
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
  const holder = await readFile(lockPath, "utf8").catch(() => "");
  if (holder !== "" && (await livingProcess(holder)) === undefined)
    await rm(lockPath, { force: true });
  return false;
}
