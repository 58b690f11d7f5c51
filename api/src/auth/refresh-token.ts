import {
  createHash,
  createHmac,
  hkdfSync,
  type KeyObject,
  randomBytes,
  randomUUID,
} from "node:crypto";
import { z } from "zod";

const SECRET_BYTES = 32;

/** A split token: the id finds the session, the rest shows whose it is and that it is the newest. */
export interface Token {
  readonly id: string;
  /** The same in all tokens of a session. */
  readonly proof: Buffer;
  /** Another one in each. */
  readonly secret: Buffer;
}

export function newToken(): Token {
  return {
    id: randomUUID(),
    proof: randomBytes(SECRET_BYTES),
    secret: randomBytes(SECRET_BYTES),
  };
}

const RefreshToken = z.tuple([z.uuid(), z.base64url()]);

/** Undefined for what cannot be one of ours. */
export function readToken(text: string): Token | undefined {
  const { data } = RefreshToken.safeParse(text.split(".", 3));
  if (data === undefined) return undefined;
  const bytes = Buffer.from(data[1], "base64url");
  if (bytes.length !== 2 * SECRET_BYTES) return undefined;
  return {
    id: data[0],
    proof: bytes.subarray(0, SECRET_BYTES),
    secret: bytes.subarray(SECRET_BYTES),
  };
}

export function writeToken({ id, proof, secret }: Token): string {
  return `${id}.${Buffer.concat([proof, secret]).toString("base64url")}`;
}

/** All processes derive the same one from a key that they share; RFC 5869. */
export function successorKeyOf(signingKey: KeyObject): Buffer {
  const secret = signingKey.export({ type: "pkcs8", format: "der" });
  return Buffer.from(hkdfSync("sha256", secret, "", "tradingbots refresh successor", SECRET_BYTES));
}

/** What comes after a secret: asking twice gives the same. */
export function successorOf(secret: Buffer, key: Buffer): Buffer {
  return createHmac("sha256", key).update(secret).digest();
}

/** As it is kept. */
export function hashOf(secret: Buffer): Buffer {
  return createHash("sha256").update(secret).digest();
}

/** What a page of ours proves by reading its cookie: another site can make the browser send it, and not read it. */
export function csrfTokenOf(refreshToken: string): string {
  return createHmac("sha256", refreshToken).update("csrf").digest("base64url");
}
