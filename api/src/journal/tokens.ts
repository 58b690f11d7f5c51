import { AUDIENCES } from "@tradingbots/crds";
import { createLocalJWKSet, errors, jwtVerify, type JWTVerifyGetKey } from "jose";
import { z } from "zod";
import { ApiError } from "../errors.ts";
import { createVerifiedCache } from "../verified-cache.ts";

/** The cluster's keys are asked for again after this time, and sooner when a token names an unknown one. */
const KEYS_KEPT_MS = 5 * 60_000;
/** Tokens with invented key ids must not make us ask for keys all day. */
const KEYS_ASKED_EVERY_MS = 10_000;
/** One per bot of a large journal replica. */
const VERIFIED_MAX = 50_000;

const Claims = z.object({
  sub: z.string(),
  iat: z.int(),
  exp: z.int(),
  "kubernetes.io": z.object({
    namespace: z.string(),
    serviceaccount: z.object({ name: z.string() }),
    pod: z.object({ name: z.string(), uid: z.string() }).optional(),
  }),
});

/** Who speaks, as the cluster's signature says. */
export interface TokenHolder {
  readonly subject: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  /** The pod that the token is bound to; a token without one is no bot's. */
  readonly pod: { readonly name: string; readonly uid: string } | undefined;
  readonly issuedAt: Date;
}

const JsonWebKeys = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).max(100) });
const Discovery = z.object({ issuer: z.string().min(1) });

interface Trust {
  readonly keys: JWTVerifyGetKey;
  readonly issuer: string;
  readonly readAtMs: number;
}

export interface TokenVerifierDeps {
  /** GET of a path of the API server. */
  readonly raw: (path: string) => Promise<unknown>;
  readonly now: () => number;
}

/** Checks projected service account tokens for the audience `journal` without asking the API server about each. */
export function createTokenVerifier({ raw, now }: TokenVerifierDeps) {
  const verified = createVerifiedCache<TokenHolder>(VERIFIED_MAX, now);
  let known: Trust | undefined;
  let asking: Promise<Trust> | undefined;
  let askedAtMs = -Infinity;

  async function ask(): Promise<Trust> {
    askedAtMs = now();
    const [discovery, keys] = await Promise.all([
      raw("/.well-known/openid-configuration"),
      raw("/openid/v1/jwks"),
    ]);
    known = {
      issuer: Discovery.parse(discovery).issuer,
      keys: createLocalJWKSet(JsonWebKeys.parse(keys)),
      readAtMs: now(),
    };
    return known;
  }

  /** Whoever asks while somebody does already gets the same answer. */
  function askOnce(): Promise<Trust> {
    asking ??= ask().finally(() => (asking = undefined));
    asking.catch(() => {}); // nobody waits for a refresh; whoever needs the answer hears of the failure
    return asking;
  }

  /** The newest trust; an older one serves on meanwhile, and while the API server does not answer. */
  async function currentTrust(isKeyUnknown = false): Promise<Trust> {
    if (known === undefined) {
      return askOnce().catch((cause: unknown) => {
        throw new ApiError("cluster_unavailable", "the cluster's keys cannot be read: try again", {
          cause,
          retryAfterSeconds: 2,
        });
      });
    }
    const older = known;
    const isDue = isKeyUnknown || now() - older.readAtMs > KEYS_KEPT_MS;
    if (isDue && now() - askedAtMs >= KEYS_ASKED_EVERY_MS) void askOnce();
    return isKeyUnknown && asking !== undefined ? asking.catch(() => older) : older;
  }

  async function verify(token: string): Promise<TokenHolder> {
    const seen = verified.get(token);
    if (seen !== undefined) return seen;
    const claims = await check(token);
    const { namespace, serviceaccount, pod } = claims["kubernetes.io"];
    const holder = {
      subject: claims.sub,
      namespace,
      serviceAccount: serviceaccount.name,
      pod,
      issuedAt: new Date(claims.iat * 1_000),
    };
    verified.set(token, holder, claims.exp * 1_000);
    return holder;
  }

  async function check(token: string, isKeyUnknown = false): Promise<z.infer<typeof Claims>> {
    const { keys, issuer } = await currentTrust(isKeyUnknown);
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer,
        audience: AUDIENCES.journal,
        currentDate: new Date(now()),
      });
      return Claims.parse(payload);
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey && !isKeyUnknown) return check(token, true);
      throw new ApiError("unauthenticated", "the token is not a valid token for the journal");
    }
  }

  return { verify, ping: () => currentTrust() };
}
export type TokenVerifier = ReturnType<typeof createTokenVerifier>;
