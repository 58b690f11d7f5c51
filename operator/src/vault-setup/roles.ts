import { AUDIENCES, BUCKET_NAMESPACE_PREFIX } from "@tradingbots/crds";
import { POLICY_NAMES } from "./policies.ts";

/**
 * Tokens of every role are batch tokens: a login writes nothing to Vault's storage, so many pods may start at once. They
 * cannot be renewed; who needs longer logs in again.
 */
const COMMON = {
  role_type: "jwt",
  bound_audiences: [AUDIENCES.vault],
  user_claim: "sub",
  token_type: "batch",
  token_no_default_policy: true,
};

/** Pods of an exchange account, in whichever bucket namespace; their token lives just long enough to fetch the key. */
export function botRole() {
  return {
    ...COMMON,
    bound_claims_type: "glob",
    bound_claims: { sub: `system:serviceaccount:${BUCKET_NAMESPACE_PREFIX}*:acct-*` },
    claim_mappings: {
      "/kubernetes.io/namespace": "namespace",
      "/kubernetes.io/serviceaccount/name": "service_account",
    },
    token_policies: [POLICY_NAMES.bot],
    token_ttl: "5m",
  };
}

/** A role for exactly one service account of the system's namespace. */
export function processRole(process: "api" | "operator", systemNamespace: string) {
  return {
    ...COMMON,
    bound_subject: `system:serviceaccount:${systemNamespace}:tradingbots-${process}`,
    token_policies: [POLICY_NAMES[process]],
    token_ttl: "1h",
  };
}
