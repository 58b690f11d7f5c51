import { credentialsPath } from "@tradingbots/crds";
import type { VaultMetadata } from "../src/vault.ts";

/** Behaves as Vault does in `vault-contract.test.ts`, where both are held to the same table. */
export function createFakeVault() {
  const versions = new Map<string, number>();
  return {
    /** Stores a key, as the API does; gives back its version. */
    store: async (namespace: string, accountName: string): Promise<number> => {
      const version = (versions.get(credentialsPath(namespace, accountName)) ?? 0) + 1;
      versions.set(credentialsPath(namespace, accountName), version);
      return version;
    },
    currentVersion: async (namespace, accountName) =>
      versions.get(credentialsPath(namespace, accountName)),
    forget: async (namespace, accountName) =>
      void versions.delete(credentialsPath(namespace, accountName)),
    forgetAll: () => versions.clear(),
  } satisfies VaultMetadata & { store: unknown; forgetAll: unknown };
}
export type FakeVault = ReturnType<typeof createFakeVault>;
