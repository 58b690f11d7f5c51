import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import {
  calculateJwkThumbprint,
  createLocalJWKSet,
  errors,
  exportJWK,
  jwtVerify,
  SignJWT,
} from "jose";
import { z } from "zod";
import { ApiError } from "../errors.ts";
import { createVerifiedCache } from "../verified-cache.ts";
import { type Caller, Tier } from "./user.ts";

export const ACCESS_TOKEN_SECONDS = 15 * 60;
const ISSUER = "tradingbots";
const AUDIENCE = "tradingbots-api";
/** RFC 9068: a token of another kind, signed with the same key, is none of these. */
const TYPE = "at+jwt";
/** About 8 MB of tokens; whoever is pushed out costs one signature check (0.4 ms). */
const VERIFIED_MAX = 10_000;

const Claims = z.object({
  user_id: z.uuid(),
  email: z.string(),
  tier: Tier,
  sid: z.uuid(),
  exp: z.int(),
});

const PEM_BLOCK = /-----BEGIN ([A-Z ]*PRIVATE KEY)-----[^-]+-----END \1-----/g;
/** One signs, one is on its way out, one is prepared. */
const KEYS_MAX = 3;

/**
 * Reads EC P-256 private keys, PKCS#8 or SEC1, one after the other: the first signs, all are believed.
 * @throws Error for none, more than three, or a key on another curve
 */
export function readSigningKeys(pem: string): readonly [KeyObject, ...KeyObject[]] {
  const [first, ...others] = Array.from(pem.matchAll(PEM_BLOCK), ([block]) => readKey(block));
  if (first === undefined || others.length >= KEYS_MAX) {
    throw new Error(`the JWT key file must hold 1 to ${KEYS_MAX} private keys in PEM`);
  }
  return [first, ...others];
}

function readKey(pem: string): KeyObject {
  const key = createPrivateKey(pem);
  if (key.asymmetricKeyDetails?.namedCurve !== "prime256v1") {
    throw new Error("the JWT key must be an EC key on P-256: openssl ecparam -name prime256v1");
  }
  return key;
}

/** The public half of a key as others are shown it, named by its thumbprint (RFC 7638). */
async function publicJwk(key: KeyObject) {
  const jwk = await exportJWK(createPublicKey(key));
  return { ...jwk, kid: await calculateJwkThumbprint(jwk), alg: "ES256", use: "sig" };
}

/** Issues and checks access tokens: ES256, with the key's thumbprint as `kid`. The first key signs. */
export async function createTokens(
  privateKeys: readonly [KeyObject, ...KeyObject[]],
  now: () => number,
) {
  const [privateKey] = privateKeys;
  const jwks = { keys: await Promise.all(privateKeys.map(publicJwk)) };
  const keyOf = createLocalJWKSet(jwks);
  const keyId = jwks.keys[0]?.kid;
  const verified = createVerifiedCache<Caller>(VERIFIED_MAX, now);

  async function issue({ userId, email, tier, sessionId }: Caller): Promise<string> {
    const issuedAt = Math.floor(now() / 1_000);
    return new SignJWT({ user_id: userId, email, tier, sid: sessionId })
      .setProtectedHeader({ alg: "ES256", kid: keyId ?? "", typ: TYPE })
      .setIssuer(ISSUER)
      .setAudience(AUDIENCE)
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + ACCESS_TOKEN_SECONDS)
      .sign(privateKey);
  }

  /** @throws ApiError `unauthenticated` or `token_expired` */
  async function verify(token: string): Promise<Caller> {
    const shown = bearing(token);
    const known = verified.get(shown);
    if (known !== undefined) return known;
    const { user_id: userId, email, tier, sid: sessionId, exp } = await check(token);
    const caller = { userId, email, tier, sessionId };
    verified.set(shown, caller, exp * 1_000);
    return caller;
  }

  async function check(token: string): Promise<z.infer<typeof Claims>> {
    try {
      const { payload } = await jwtVerify(token, keyOf, {
        issuer: ISSUER,
        audience: AUDIENCE,
        typ: TYPE,
        algorithms: ["ES256"],
        currentDate: new Date(now()),
      });
      return Claims.parse(payload);
    } catch (error) {
      if (error instanceof errors.JWTExpired) throw expired();
      throw new ApiError("unauthenticated", "the access token is not valid: log in again");
    }
  }

  return {
    issue,
    verify,
    /**
     * Of a whole Authorization header: who its token is of, when it was found good before. Most requests wait for nothing, and a token that
     * is cut out of its header first takes three times as long to compare.
     */
    find: (authorization: string): Caller | undefined => verified.get(authorization),
    /** For others who check our tokens: RFC 7517. */
    jwks,
  };
}
export type Tokens = Awaited<ReturnType<typeof createTokens>>;

/** The header that most clients show a token in, as one piece: the parts of a text that was put together are gone through each time. */
function bearing(token: string): string {
  return Buffer.from(`Bearer ${token}`).toString("latin1");
}

function expired(): ApiError {
  return new ApiError("token_expired", "log in again");
}
