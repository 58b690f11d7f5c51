import type { AccountFacts } from "./facts.ts";
import type { AccountPlan } from "./plan.ts";

/**
 * The way out of a retired account: its bots first (they may need the key to close their positions), then the object is
 * asked to go, then Vault forgets the key, last the finalizer. The service account goes with the object.
 */
export function retirementStep({ account, botCount, verifyPods }: AccountFacts): AccountPlan {
  if (botCount > 0) return {}; // their ends are told by the watch
  const pod = verifyPods.find(({ isDeleting }) => !isDeleting);
  if (pod !== undefined) return { write: { kind: "delete-pod", pod } };
  if (verifyPods.length > 0) return {};
  if (!account.isDeleting) return { write: { kind: "delete-account" } };
  return account.hasFinalizer ? { write: { kind: "forget-key" } } : {};
}
