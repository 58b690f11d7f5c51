import { byAge } from "../bot/bot-view.ts";
import type { ClusterView } from "../cluster-view.ts";
import type { VaultMetadata } from "../vault.ts";
import { type AccountView, exchangeIdentity, isReady } from "./account-view.ts";
import type { AccountFacts, KeyFact } from "./facts.ts";
import { needsKey } from "./plan.ts";
import { isVerifyPodOf } from "./verify-pod.ts";

export interface ObserveDeps {
  readonly cluster: Pick<ClusterView, "bots" | "accounts" | "classes" | "pods" | "serviceAccounts">;
  readonly vault: VaultMetadata;
  /** The class whose image verifies keys. */
  readonly verifyClass: string;
  readonly onError: (error: unknown) => void;
  readonly now: () => Date;
}

/** Gathers what a decision about the account needs: memory, and Vault only where a decision depends on it. */
export async function observeAccount(
  account: AccountView,
  deps: ObserveDeps,
): Promise<AccountFacts> {
  const { cluster } = deps;
  const facts = {
    account,
    hasServiceAccount: cluster.serviceAccounts.get(account.key) !== undefined,
    // Another user's bot gets no pod with this account's key, and must not keep it from ending.
    botCount: [...cluster.bots.store.find("account", account.key)].filter(
      ({ spec }) => spec.userId === account.spec.userId,
    ).length,
    verifyPods: cluster.pods
      .find("account", account.key)
      .filter((pod) => isVerifyPodOf(account, pod)),
    verifyClass: cluster.classes.store.get(deps.verifyClass),
    twin: twinOf(account, deps),
    now: deps.now(),
  };
  const key = needsKey(facts) ? await askVault(account, deps) : ({ kind: "unasked" } as const);
  return { ...facts, key };
}

async function askVault({ namespace, name }: AccountView, deps: ObserveDeps): Promise<KeyFact> {
  try {
    const version = await deps.vault.currentVersion(namespace, name);
    return version === undefined ? { kind: "absent" } : { kind: "present", version };
  } catch (error) {
    deps.onError(error);
    return { kind: "unknown" };
  }
}

/** The connection that works keeps working; of two that do not yet, the older one goes first. */
function twinOf(account: AccountView, { cluster }: ObserveDeps): string | undefined {
  const identity = exchangeIdentity(account);
  if (identity === undefined) return undefined;
  for (const other of cluster.accounts.store.find("identity", identity)) {
    if (other.key === account.key) continue;
    const goesFirst =
      isReady(other) === isReady(account) ? byAge(other, account) < 0 : isReady(other);
    if (goesFirst) return other.key;
  }
  return undefined;
}
