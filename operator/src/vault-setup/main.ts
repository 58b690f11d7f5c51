import { readFile } from "node:fs/promises";
import { createKubeClient, inClusterAccess } from "@tradingbots/kube";
import nodeVault from "node-vault";
import { z } from "zod";
import { discoverTokenIssuer } from "./discovery.ts";
import { VaultSetupRefused, setUpVault } from "./vault-setup.ts";

/**
 * Prepares Vault for the platform, once per installation or upgrade. The token is revoked when all is done; after a
 * failure it stays valid for its short life, so that the Job's next attempt can go on.
 */
const REQUEST_LIMIT_MS = 10_000;

/** The chart's Job is not tried again with it: a token that was refused once is refused for ever. */
const REFUSED_EXIT_CODE = 2;
const REFUSED =
  "Vault refuses the set-up token: it has expired, was revoked by an earlier set-up, or lacks the policy of the chart's files/vault-setup-policy.hcl; an upgrade needs none: --set vault.setup.tokenSecret=";

const env = z
  .object({
    VAULT_ADDR: z.url(),
    VAULT_TOKEN_FILE: z.string().min(1),
    POD_NAMESPACE: z.string().min(1),
    KUBERNETES_SERVICE_HOST: z.string().min(1),
    KUBERNETES_SERVICE_PORT: z.string().min(1),
  })
  .parse(process.env);

const token = (await readFile(env.VAULT_TOKEN_FILE, "utf8")).trim();
const vault = nodeVault({
  endpoint: env.VAULT_ADDR,
  token,
  requestOptions: { timeout: REQUEST_LIMIT_MS },
});
const cluster = createKubeClient(
  inClusterAccess({ host: env.KUBERNETES_SERVICE_HOST, port: env.KUBERNETES_SERVICE_PORT }),
);
try {
  const tokenIssuer = await discoverTokenIssuer(cluster);
  await setUpVault(vault, { tokenIssuer, systemNamespace: env.POD_NAMESPACE });
  await vault.write("auth/token/revoke-self", {});
  console.log(
    `Vault trusts ${tokenIssuer.issuer} with ${tokenIssuer.publicKeys.length} signing key(s); the set-up token is revoked`,
  );
} catch (error) {
  const isRefused = refusesToken(error);
  console.error(isRefused ? REFUSED : explain(error));
  process.exitCode = isRefused ? REFUSED_EXIT_CODE : 1;
} finally {
  await cluster.close();
}

function refusesToken(error: unknown): boolean {
  return z.object({ response: z.object({ statusCode: z.literal(403) }) }).safeParse(error).success;
}

function explain(error: unknown): string {
  if (error instanceof VaultSetupRefused) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
