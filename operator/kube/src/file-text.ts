import { readFileSync } from "node:fs";

/** The kubelet renews a projected token when 80 % of its life (at least 10 minutes) is over, so 10 s late is early enough. */
const REREAD_AFTER_MS = 10_000;

/**
 * What the kubelet renews in a file, such as a token. The file is read again every 10 s of use; while it cannot be read, the
 * last text goes on being used.
 * @returns the text without white space around it
 * @throws Error when the file has never been readable.
 */
export function fileText(path: string): () => string {
  let text: string | undefined;
  let readAt = -Infinity;
  return () => {
    const now = performance.now();
    if (text !== undefined && now - readAt < REREAD_AFTER_MS) return text;
    try {
      text = readFileSync(path, "utf8").trim();
      readAt = now;
    } catch (cause) {
      if (text === undefined) throw new Error(`while reading ${path}`, { cause });
    }
    return text;
  };
}
