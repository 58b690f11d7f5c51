import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";

/** Initialising raft waits for an election: ten seconds on a busy machine. */
const REQUEST_LIMIT_MS = 60_000;
const ACTIVE_LIMIT_MS = 30_000;
const ACTIVE_POLL_MS = 100;

interface Call {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly token?: string;
  readonly body?: unknown;
}

export interface VaultAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** One request to Vault's HTTP API. An answer of any status is returned; only a broken connection throws. */
export async function callVault(address: string, call: Call): Promise<VaultAnswer> {
  const response = await fetch(`${address}/v1/${call.path}`, {
    method: call.method,
    headers: {
      // Vault closes connections while it initialises, so none is used twice.
      connection: "close",
      ...(call.method === "PATCH" ? { "content-type": "application/merge-patch+json" } : {}),
      ...(call.token === undefined ? {} : { "X-Vault-Token": call.token }),
    },
    ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
    signal: AbortSignal.timeout(REQUEST_LIMIT_MS),
  });
  const text = await response.text();
  return { status: response.status, body: text === "" ? undefined : (JSON.parse(text) as unknown) };
}

const SealStatus = z.object({ initialized: z.boolean(), sealed: z.boolean() });
export type SealStatus = z.infer<typeof SealStatus>;

export async function sealStatus(address: string): Promise<SealStatus> {
  return SealStatus.parse(await succeed(address, { method: "GET", path: "sys/seal-status" }));
}

export interface VaultKeys {
  readonly unsealKey: string;
  readonly rootToken: string;
}

/** Initialises a new Vault with one key share: enough for a demo and for tests, too little for anything else. */
export async function initialise(address: string): Promise<VaultKeys> {
  const body = { secret_shares: 1, secret_threshold: 1 };
  const answer = await succeed(address, { method: "PUT", path: "sys/init", body });
  const { keys_base64, root_token } = z
    .object({ keys_base64: z.tuple([z.string()]), root_token: z.string() })
    .parse(answer);
  return { unsealKey: keys_base64[0], rootToken: root_token };
}

/** Unseals Vault and waits until it takes requests. */
export async function unseal(address: string, unsealKey: string): Promise<void> {
  const body = { key: unsealKey };
  const { sealed } = SealStatus.parse(
    await succeed(address, { method: "PUT", path: "sys/unseal", body }),
  );
  if (sealed) throw new Error(`${address} stays sealed: the key is not this Vault's`);
  const deadline = Date.now() + ACTIVE_LIMIT_MS;
  for (;;) {
    const { status } = await callVault(address, { method: "GET", path: "sys/health" });
    if (status === 200) return;
    if (Date.now() > deadline)
      throw new Error(`${address} is unsealed and still answers ${status}`);
    await sleep(ACTIVE_POLL_MS);
  }
}

const GenerateRoot = z.object({
  nonce: z.string(),
  otp: z.string().optional(),
  encoded_token: z.string().optional(),
});

/** A new root token by the holder of the unseal key, since the first one is revoked and kept nowhere. */
export async function generateRootToken(address: string, unsealKey: string): Promise<string> {
  const path = "sys/generate-root/attempt";
  await succeed(address, { method: "DELETE", path }); // what an interrupted run left behind
  const { nonce, otp } = GenerateRoot.parse(
    await succeed(address, { method: "PUT", path, body: {} }),
  );
  const { encoded_token } = GenerateRoot.parse(
    await succeed(address, {
      method: "PUT",
      path: "sys/generate-root/update",
      body: { key: unsealKey, nonce },
    }),
  );
  if (otp === undefined || encoded_token === undefined) {
    throw new Error(`${address} asks for more than one unseal key to make a root token`);
  }
  const encoded = Buffer.from(encoded_token, "base64");
  const mask = Buffer.from(otp);
  return Buffer.from(encoded.map((byte, index) => byte ^ (mask[index] ?? 0))).toString();
}

export interface TokenRequest {
  readonly policy: { readonly name: string; readonly rules: string };
  readonly ttl: string;
}

/** A token with one policy that does not die with the root token that made it. */
export async function createOrphanToken(
  address: string,
  rootToken: string,
  { policy, ttl }: TokenRequest,
): Promise<string> {
  await succeed(address, {
    method: "PUT",
    path: `sys/policies/acl/${policy.name}`,
    token: rootToken,
    body: { policy: policy.rules },
  });
  const answer = await succeed(address, {
    method: "POST",
    path: "auth/token/create-orphan",
    token: rootToken,
    body: { policies: [policy.name], ttl, explicit_max_ttl: ttl, renewable: false },
  });
  return z.object({ auth: z.object({ client_token: z.string() }) }).parse(answer).auth.client_token;
}

export async function revokeSelf(address: string, token: string): Promise<void> {
  await succeed(address, { method: "POST", path: "auth/token/revoke-self", token });
}

async function succeed(address: string, call: Call): Promise<unknown> {
  const { status, body } = await callVault(address, call);
  if (status >= 300) {
    throw new Error(
      `Vault answered ${call.method} ${call.path} with ${status}: ${JSON.stringify(body)}`,
    );
  }
  return body;
}
