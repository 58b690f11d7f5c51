import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AUDIENCES } from "@tradingbots/crds";
import createVaultClient from "node-vault";
import { callVault, createOrphanToken } from "../../hack/vault/vault-client.ts";
import { startVault } from "../../hack/vault/vault.ts";
import { discoverTokenIssuer } from "../../operator/src/vault-setup/discovery.ts";
import { setUpVault } from "../../operator/src/vault-setup/vault-setup.ts";
import { newId } from "../src/id.ts";
import { SYSTEM_NAMESPACE, type TestCluster, tokenOf } from "./cluster.ts";

/** A real Vault, set up for the cluster as in production. */
export async function startTestVault(cluster: TestCluster) {
  const [vault, directory] = await Promise.all([
    startVault(),
    mkdtemp(join(tmpdir(), "test-vault-")),
  ]);
  const rules = `path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }`;
  const policy = { name: "set-up", rules };
  const token = await createOrphanToken(vault.address, vault.rootToken, { policy, ttl: "5m" });
  const tokenIssuer = await discoverTokenIssuer(cluster.admin);
  const client = createVaultClient({ endpoint: vault.address, token });
  await setUpVault(client, { tokenIssuer, systemNamespace: SYSTEM_NAMESPACE });
  return {
    address: vault.address,
    rootToken: vault.rootToken,
    /** A file with a token of the API's service account. */
    tokenFile: async (audience: string = AUDIENCES.vault): Promise<string> => {
      const file = join(directory, `token-${newId("bot")}`);
      await writeFile(file, await tokenOf(cluster.admin, { account: "tradingbots-api", audience }));
      return file;
    },
    /** What lies at a path, as only somebody with the root token sees it. */
    peek: async (path: string): Promise<unknown> => {
      const request = { method: "GET", path: `tradingbots/data/${path}` } as const;
      return (await callVault(vault.address, { ...request, token: vault.rootToken })).body;
    },
    /** What the operator does when an account has ended. */
    forget: async (path: string): Promise<void> => {
      const request = { method: "DELETE", path: `tradingbots/metadata/${path}` } as const;
      await callVault(vault.address, { ...request, token: vault.rootToken });
    },
    stop: async (): Promise<void> => {
      await vault.stop();
      await rm(directory, { recursive: true });
    },
  };
}
export type TestVault = Awaited<ReturnType<typeof startTestVault>>;
