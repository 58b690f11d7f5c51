import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";

/** Written by hack/generate/breached-passwords.ts: sorted prefixes of SHA-256, so many bytes each. */
const PREFIX_BYTES = 5;

/** Says whether a password is among the 44,000 of at least 12 characters that are most common in breaches. */
export type IsBreached = (password: string) => boolean;

/** @throws Error when the file is not there or is cut off */
export async function readBreachedPasswords(path: string): Promise<IsBreached> {
  const prefixes = await readFile(path);
  if (prefixes.length === 0 || prefixes.length % PREFIX_BYTES !== 0) {
    throw new Error(`${path} is not a list of breached passwords`);
  }
  return (password) => {
    const hash = createHash("sha256").update(password.toLowerCase()).digest();
    return contains(prefixes, hash.subarray(0, PREFIX_BYTES));
  };
}

/** Binary search over entries of fixed length. */
function contains(sorted: Buffer, wanted: Buffer): boolean {
  let [low, high] = [0, sorted.length / PREFIX_BYTES];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const at = middle * PREFIX_BYTES;
    const order = sorted.compare(wanted, 0, PREFIX_BYTES, at, at + PREFIX_BYTES);
    if (order === 0) return true;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return false;
}
