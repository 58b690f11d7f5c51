import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { z } from "zod";

const CIPHER = "aes-256-gcm";
const KEY_BYTES = 32;
const KEY_ID_BYTES = 4;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** One seals, one is on its way out, one is prepared. */
const KEYS_MAX = 3;

const Key = z.base64().refine((text) => Buffer.from(text, "base64").length === KEY_BYTES);

export type ServiceKeys = readonly [Buffer, ...Buffer[]];

/**
 * Reads keys of 32 bytes in base64, one a line: the first seals, all open.
 * @throws Error for none, more than three, or a line that is no such key
 */
export function readServiceKeys(text: string): ServiceKeys {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const [first, ...others] = lines.map((line) => {
    if (Key.safeParse(line.trim()).success) return Buffer.from(line, "base64");
    throw new Error("a service key must be 32 bytes in base64: openssl rand -base64 32");
  });
  if (first === undefined || others.length >= KEYS_MAX) {
    throw new Error(`the service key file must hold 1 to ${KEYS_MAX} keys`);
  }
  return [first, ...others];
}

/**
 * Seals what must be read again and must not lie in the database as it is: AES-256-GCM (NIST SP 800-38D). Whoever copies a row to
 * another place gets nothing: a box opens only for the purpose that it was sealed for.
 */
export function createSealer(keys: ServiceKeys) {
  const [current] = keys;
  const byId = new Map(keys.map((key) => [idOf(key).toString("hex"), key]));

  /** Key id, nonce, tag, ciphertext. */
  function seal(text: string, purpose: string): Buffer {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, current, nonce).setAAD(Buffer.from(purpose));
    const body = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
    return Buffer.concat([idOf(current), nonce, cipher.getAuthTag(), body]);
  }

  /** @throws Error for a box that was sealed with another key or for another purpose, or that has been changed */
  function open(sealed: Buffer, purpose: string): string {
    const [nonceAt, tagAt] = [KEY_ID_BYTES, KEY_ID_BYTES + NONCE_BYTES];
    const bodyAt = tagAt + TAG_BYTES;
    const key = byId.get(sealed.subarray(0, nonceAt).toString("hex"));
    if (key === undefined) throw new Error("sealed with a key that is not in the key file");
    const options = { authTagLength: TAG_BYTES };
    const decipher = createDecipheriv(CIPHER, key, sealed.subarray(nonceAt, tagAt), options);
    decipher.setAAD(Buffer.from(purpose)).setAuthTag(sealed.subarray(tagAt, bodyAt));
    return decipher.update(sealed.subarray(bodyAt), undefined, "utf8") + decipher.final("utf8");
  }

  return { seal, open };
}
export type Sealer = ReturnType<typeof createSealer>;

function idOf(key: Buffer): Buffer {
  return createHash("sha256").update(key).digest().subarray(0, KEY_ID_BYTES);
}
