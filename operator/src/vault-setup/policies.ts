import { VAULT } from "@tradingbots/crds";

/** Vault policies by name, and the rules they hold. */
export const POLICY_NAMES = {
  bot: "tradingbots-bot",
  api: "tradingbots-api",
  operator: "tradingbots-operator",
} as const;

/**
 * A pod reads the key of its own account and nothing else: namespace and service account come from the token that the
 * kubelet gave it, through the alias that the login made.
 * @param jwtAccessor accessor of the JWT auth method that the alias belongs to
 */
export function botPolicy(jwtAccessor: string): string {
  const alias = `identity.entity.aliases.${jwtAccessor}.metadata`;
  return rules(`${VAULT.mount}/data/{{${alias}.namespace}}/{{${alias}.service_account}}`, ["read"]);
}

/** The API stores keys and replaces them; it can read none. With `update` replaces the release before, which an upgrade or its undoing meets. */
export function apiPolicy(): string {
  return rules(`${VAULT.mount}/data/*`, ["create", "update", "patch"]);
}

/** The operator sees that a key exists and which version it has, and makes Vault forget it; it can read none. */
export function operatorPolicy(): string {
  return rules(`${VAULT.mount}/metadata/*`, ["read", "delete"]);
}

function rules(path: string, capabilities: readonly string[]): string {
  return `path "${path}" {\n  capabilities = ${JSON.stringify(capabilities)}\n}\n`;
}
