import { createHash, randomBytes } from "node:crypto";
import { asTenant, type Database } from "../database.ts";
import { ApiError } from "../errors.ts";
import { createVerifiedCache } from "../verified-cache.ts";
import { findApiToken, noteApiTokenUse } from "./api-token-store.ts";
import type { Caller } from "./user.ts";

/** So that scanners of repositories and logs find one that got out. */
const PREFIX = "tbt_";
const SECRET_BYTES = 32;
const FORMAT = /^tbt_[A-Za-z0-9_-]{43}$/;
const VERIFIED_MAX = 10_000;
/** Then the database is asked again, and told that the token is in use. Revocations are heard of within a second besides. */
const KNOWN_FOR_MS = 60_000;

export function newApiToken(): string {
  return PREFIX + randomBytes(SECRET_BYTES).toString("base64url");
}

export function isApiToken(token: string): boolean {
  return token.startsWith(PREFIX);
}

/** As it is kept: of 32 random bytes, so that a plain hash is enough. */
export function hashOfApiToken(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

interface ApiTokenDeps {
  /** Of the auth role. */
  readonly authPool: Database;
  readonly now: () => number;
}

/** Checks API tokens. */
export function createApiTokens({ authPool, now }: ApiTokenDeps) {
  const verified = createVerifiedCache<Caller>(VERIFIED_MAX, now);

  /** Whose token it is, when that is known without asking the database. */
  function find(token: string): Caller | undefined {
    return verified.get(hashOfApiToken(token).toString("hex"));
  }

  /** @throws ApiError `unauthenticated` */
  async function verify(token: string): Promise<Caller> {
    const hash = hashOfApiToken(token);
    const found = FORMAT.test(token) ? await findApiToken(authPool, hash) : undefined;
    if (found === undefined) throw apiTokenOver();
    const { user_id: userId, id, scopes, email, tier } = found;
    await asTenant(authPool, { userId }, (database) => noteApiTokenUse(database, { userId, id }));
    const caller = { userId, email, tier, sessionId: id, scopes };
    const expiresAtMs = Math.min(now() + KNOWN_FOR_MS, found.expires_at.getTime());
    verified.set(hash.toString("hex"), caller, expiresAtMs);
    return caller;
  }

  return { find, verify };
}
export type ApiTokens = ReturnType<typeof createApiTokens>;

export function apiTokenOver(): ApiError {
  return new ApiError("unauthenticated", "the API token is revoked, too old, or none of ours");
}
