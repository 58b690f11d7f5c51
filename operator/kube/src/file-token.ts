import { readFileSync } from "node:fs";

/** The kubelet renews a projected token when 80 % of its life (at least 10 minutes) is over, so 10 s late is early enough. */
const REREAD_AFTER_MS = 10_000;

/**
 * A token that the kubelet renews in a file. The file is read again every 10 s of use; while it cannot be read, the last
 * token goes on being used.
 * @throws Error when the file has never been readable.
 */
export function fileToken(path: string): () => string {
  let token: string | undefined;
  let readAt = -Infinity;
  return () => {
    const now = performance.now();
    if (token !== undefined && now - readAt < REREAD_AFTER_MS) return token;
    try {
      token = readFileSync(path, "utf8").trim();
      readAt = now;
    } catch (cause) {
      if (token === undefined) throw new Error(`while reading the token ${path}`, { cause });
    }
    return token;
  };
}
