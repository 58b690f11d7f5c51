import { createPublicKey } from "node:crypto";
import type { KubeClient } from "@tradingbots/kube";
import { z } from "zod";

/** What it takes to verify a service account token without asking the cluster each time. */
export interface TokenIssuer {
  readonly issuer: string;
  /** PEM, one per signing key. */
  readonly publicKeys: readonly string[];
}

const Configuration = z.object({ issuer: z.string().min(1) });
const KeySet = z.object({
  keys: z
    .array(z.looseObject({ kty: z.string() }))
    .min(1)
    .max(64),
});

/**
 * Reads issuer and signing keys from the API server's own discovery paths. The `jwks_uri` in the configuration is not
 * followed: it names the address for parties outside, which need not be reachable from here.
 */
export async function discoverTokenIssuer(cluster: Pick<KubeClient, "raw">): Promise<TokenIssuer> {
  const { issuer } = Configuration.parse(await cluster.raw("/.well-known/openid-configuration"));
  const { keys } = KeySet.parse(await cluster.raw("/openid/v1/jwks"));
  return { issuer, publicKeys: keys.map(publicKeyPem) };
}

function publicKeyPem(key: Readonly<Record<string, unknown>>): string {
  return createPublicKey({ key, format: "jwk" }).export({ type: "spki", format: "pem" }).toString();
}
