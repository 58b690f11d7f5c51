import type { VaultMetadata } from "../src/vault.ts";

/** Behaves as Vault does in `vault-contract.test.ts`, where both are held to the same table. */
export function createFakeVault() {
  const versions = new Map<string, number>();
  const path = (namespace: string, accountName: string) => `${namespace}/${accountName}`;
  return {
    /** Stores a key, as the API does; gives back its version. */
    store: async (namespace: string, accountName: string): Promise<number> => {
      const version = (versions.get(path(namespace, accountName)) ?? 0) + 1;
      versions.set(path(namespace, accountName), version);
      return version;
    },
    currentVersion: async (namespace, accountName) => versions.get(path(namespace, accountName)),
    forget: async (namespace, accountName) => void versions.delete(path(namespace, accountName)),
  } satisfies VaultMetadata & { store: unknown };
}
