import type { Credentials } from "@tradingbots/crds";
import type { CredentialStore } from "../src/accounts/credential-store.ts";
import { ApiError } from "../src/errors.ts";

/** Vault in memory; held to the real one's behaviour by credential-store.test.ts. */
export function createFakeCredentialStore() {
  const versions = new Map<string, Credentials[]>();
  let isDown = false;
  let losesAnswers = false;

  function assertUp(): void {
    if (isDown) throw new ApiError("vault_unavailable", "try again in a moment");
  }

  /** Of what it has stored. */
  function assertAnswers(): void {
    if (losesAnswers) throw new ApiError("vault_unavailable", "it did not answer in time");
  }

  const store: CredentialStore = {
    create: async (path, credentials) => {
      assertUp();
      if (versions.has(path)) throw new ApiError("vault_unavailable", "there is a key already");
      versions.set(path, [credentials]);
      assertAnswers();
      return 1;
    },
    replace: async (path, credentials) => {
      assertUp();
      const kept = versions.get(path);
      if (kept === undefined) return undefined;
      versions.set(path, [...kept, credentials]);
      assertAnswers();
      return kept.length + 1;
    },
    ping: async () => assertUp(),
  };
  return {
    ...store,
    /** The newest key at a path. */
    peek: (path: string) => versions.get(path)?.at(-1),
    /** What the operator does when an account has ended. */
    forget: (path: string) => void versions.delete(path),
    setDown: (down: boolean) => void (isDown = down),
    loseAnswers: (loses: boolean) => void (losesAnswers = loses),
  };
}
