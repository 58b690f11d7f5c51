import { VAULT } from "@tradingbots/crds";
import { z } from "zod";
import type { TokenIssuer } from "./discovery.ts";
import { POLICY_NAMES, apiPolicy, botPolicy, operatorPolicy } from "./policies.ts";
import { botRole, processRole } from "./roles.ts";

/** The part of node-vault's client that the set-up uses. */
export interface VaultClient {
  read(path: string): Promise<unknown>;
  write(path: string, data: object): Promise<unknown>;
}

export interface VaultSetup {
  readonly tokenIssuer: TokenIssuer;
  /** The namespace of operator and API. */
  readonly systemNamespace: string;
}

/** A rotation needs the key before the new one for a moment; older ones are no use to anybody but a thief. */
const KEPT_VERSIONS = 2;

/** A set-up that cannot go on as things are; the message says what to do. */
export class VaultSetupRefused extends Error {
  override name = "VaultSetupRefused";
}

/**
 * Brings Vault to the state that the platform needs, from whichever state: KV mount, JWT auth method with the cluster's
 * keys, policies, roles. Safe to repeat; every run renews the cluster's keys.
 */
export async function setUpVault(vault: VaultClient, setup: VaultSetup): Promise<void> {
  await assertShortLived(vault);
  await ensureKeyValueMount(vault);
  const accessor = await ensureJwtAuth(vault, setup.tokenIssuer);

  await vault.write(`sys/policies/acl/${POLICY_NAMES.bot}`, { policy: botPolicy(accessor) });
  await vault.write(`sys/policies/acl/${POLICY_NAMES.api}`, { policy: apiPolicy() });
  await vault.write(`sys/policies/acl/${POLICY_NAMES.operator}`, { policy: operatorPolicy() });

  const role = `auth/${VAULT.jwtMount}/role`;
  await vault.write(`${role}/bot`, botRole());
  await vault.write(`${role}/api`, processRole("api", setup.systemNamespace));
  await vault.write(`${role}/operator`, processRole("operator", setup.systemNamespace));
}

const TokenSelf = z.object({ data: z.object({ ttl: z.number() }) });

async function assertShortLived(vault: VaultClient): Promise<void> {
  const { data } = TokenSelf.parse(await vault.read("auth/token/lookup-self"));
  if (data.ttl === 0) {
    throw new VaultSetupRefused(
      "the set-up token never expires: make one with `vault token create -orphan -ttl=15m -policy=tradingbots-setup`",
    );
  }
}

const Mount = z.object({
  data: z.object({
    type: z.string(),
    options: z.record(z.string(), z.string()).nullish(),
  }),
});

async function ensureKeyValueMount(vault: VaultClient): Promise<void> {
  const path = `sys/mounts/${VAULT.mount}`;
  const found = await readUnlessAbsent(vault, path);
  if (found === undefined) await vault.write(path, { type: "kv", options: { version: "2" } });
  else {
    const { type, options } = Mount.parse(found).data;
    if (type !== "kv" || options?.["version"] !== "2") {
      throw new VaultSetupRefused(
        `the mount ${VAULT.mount}/ is ${type} version ${options?.["version"] ?? "1"}: it must be a KV version 2 mount of the platform's own`,
      );
    }
  }
  await vault.write(`${VAULT.mount}/config`, { max_versions: KEPT_VERSIONS });
}

const AuthMethod = z.object({ data: z.object({ type: z.string(), accessor: z.string() }) });
const JwtConfiguration = z.object({ data: z.object({ bound_issuer: z.string() }) });

/** @returns the accessor that the templated policy refers to */
async function ensureJwtAuth(vault: VaultClient, tokenIssuer: TokenIssuer): Promise<string> {
  const path = `sys/auth/${VAULT.jwtMount}`;
  if ((await readUnlessAbsent(vault, path)) === undefined) await vault.write(path, { type: "jwt" });
  const { type, accessor } = AuthMethod.parse(await vault.read(path)).data;
  if (type !== "jwt") {
    throw new VaultSetupRefused(`the auth method at ${VAULT.jwtMount}/ is ${type}, not jwt`);
  }
  await assertOurs(vault, tokenIssuer.issuer);
  await vault.write(`auth/${VAULT.jwtMount}/config`, {
    bound_issuer: tokenIssuer.issuer,
    jwt_validation_pubkeys: tokenIssuer.publicKeys,
  });
  return accessor;
}

/** Another cluster's or another platform's logins must not end because this one is installed. Ours always name their issuer. */
async function assertOurs(vault: VaultClient, issuer: string): Promise<void> {
  const found = await readUnlessAbsent(vault, `auth/${VAULT.jwtMount}/config`);
  if (found === undefined) return;
  const { bound_issuer } = JwtConfiguration.parse(found).data;
  if (bound_issuer === issuer) return;
  throw new VaultSetupRefused(
    `the auth method at ${VAULT.jwtMount}/ trusts ${bound_issuer || "an issuer without a name"} and this cluster's issuer is ${issuer}: use a Vault namespace or server of its own, or disable that method when it is no longer needed`,
  );
}

const AnsweredError = z.object({ response: z.object({ statusCode: z.number() }) });

async function readUnlessAbsent(vault: VaultClient, path: string): Promise<unknown> {
  try {
    return await vault.read(path);
  } catch (error) {
    const answered = AnsweredError.safeParse(error);
    // Vault answers 400 for "no such mount" and 404 for "nothing configured".
    if (answered.success && [400, 404].includes(answered.data.response.statusCode))
      return undefined;
    throw error;
  }
}
