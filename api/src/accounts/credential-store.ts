import { readFile } from "node:fs/promises";
import { VAULT, type Credentials } from "@tradingbots/crds";
import createVaultClient from "node-vault";
import { z } from "zod";
import { ApiError } from "../errors.ts";

/** Where exchange keys go. There is no way to get one back from here. */
export interface CredentialStore {
  /** Stores a key at a path where none has ever been, and answers its version (1). */
  create(path: string, credentials: Credentials): Promise<number>;
  /** Stores a new version of a key and answers its number; undefined when there is none, and then nothing is stored. */
  replace(path: string, credentials: Credentials): Promise<number | undefined>;
  /** Stores nothing. @throws ApiError when Vault does not answer, is sealed, or logs us in no more */
  ping(): Promise<void>;
}

export interface VaultOptions {
  readonly address: string;
  /** File with the projected service account token for the audience `vault`. */
  readonly tokenFile: string;
  readonly now: () => number;
}

const ROLE = "api";
const REQUEST_LIMIT_MS = 5_000;
/** Renewed by a new login well before the end, so that no request meets an expired token. */
const RENEW_AT_FRACTION = 0.7;

const Login = z.object({
  auth: z.object({ client_token: z.string(), lease_duration: z.number() }),
});
const Written = z.object({ data: z.object({ version: z.int().min(1) }) });
const Health = z.object({ initialized: z.boolean(), sealed: z.boolean() });

const CONTENT_TYPE = { POST: "application/json", PATCH: "application/merge-patch+json" } as const;

interface KeyWrite {
  readonly method: keyof typeof CONTENT_TYPE;
  readonly path: string;
  readonly body: object;
}

/** HashiCorp Vault: KV version 2, logged in with the pod's own token. */
export function createVaultStore({ address, tokenFile, now }: VaultOptions): CredentialStore {
  const client = createVaultClient({
    endpoint: address,
    // The default one prints what it writes when DEBUG=node-vault is set: the keys.
    debug: () => {},
    requestOptions: { timeout: REQUEST_LIMIT_MS },
  });
  let login: Promise<{ readonly token: string; readonly renewAtMs: number }> | undefined;

  async function logIn() {
    const jwt = (await readFile(tokenFile, "utf8")).trim();
    const answer: unknown = await client.write(`auth/${VAULT.jwtMount}/login`, { role: ROLE, jwt });
    const { client_token, lease_duration: seconds } = Login.parse(answer).auth;
    return { token: client_token, renewAtMs: now() + seconds * 1_000 * RENEW_AT_FRACTION };
  }

  async function token(): Promise<string> {
    const current = await login?.catch(() => undefined);
    if (current !== undefined && current.renewAtMs > now()) return current.token;
    login = logIn();
    return (await login).token;
  }

  async function write(request: KeyWrite): Promise<number> {
    try {
      return await writeOnce(request);
    } catch (error) {
      if (statusOf(error) !== 403) throw error;
    }
    login = undefined; // the token was revoked, or Vault has been set up anew
    return writeOnce(request);
  }

  async function writeOnce({ method, path, body }: KeyWrite): Promise<number> {
    const answer: unknown = await client.request({
      method,
      path: `/${VAULT.mount}/data/${path}`,
      json: body,
      headers: { "X-Vault-Token": await token(), "Content-Type": CONTENT_TYPE[method] },
      timeout: REQUEST_LIMIT_MS,
    });
    return Written.parse(answer).data.version;
  }

  const create = (path: string, data: Credentials) => writeAfter(0, path, data);

  /** Only while the newest version at the path is this one; 0: there has never been any. */
  async function writeAfter(version: number, path: string, data: Credentials): Promise<number> {
    try {
      return await write({ method: "POST", path, body: { data, options: { cas: version } } });
    } catch (error) {
      throw unavailable("while writing a key", error);
    }
  }

  async function replace(path: string, credentials: Credentials): Promise<number | undefined> {
    // A patch keeps what it does not name.
    const data = { ...credentials, passphrase: credentials.passphrase ?? null };
    try {
      return await write({ method: "PATCH", path, body: { data } });
    } catch (error) {
      if (statusOf(error) === 404) return replaceDeleted(path, credentials, error);
      throw unavailable("while replacing a key (403 until this release's Vault set-up ran)", error);
    }
  }

  /**
   * Somebody may have deleted a key by hand: Vault says then which version is gone, and it can be followed by one. A path that was
   * forgotten meanwhile has no version, so a key never comes back after its account's end.
   */
  async function replaceDeleted(path: string, credentials: Credentials, refusal: unknown) {
    const deleted = Deleted.safeParse(refusal).data?.response.body.data.version;
    return deleted === undefined ? undefined : writeAfter(deleted, path, credentials);
  }

  async function ping(): Promise<void> {
    try {
      const health = Health.parse(await client.health({ timeout: REQUEST_LIMIT_MS }));
      if (health.sealed || !health.initialized) throw new Error("Vault is sealed");
      await token();
    } catch (error) {
      throw unavailable("while asking whether Vault is there", error);
    }
  }

  return { create, replace, ping };
}

/** Errors of the HTTP client hold the request with the key in it: nothing but status and message goes on. */
function unavailable(what: string, error: unknown): ApiError {
  const status = statusOf(error);
  const reason = status === undefined ? codeOf(error) : `HTTP ${status}`;
  return new ApiError("vault_unavailable", "try again in a moment", {
    cause: new Error(`${what}: ${reason}`),
    retryAfterSeconds: 2,
  });
}

const Failure = z.object({ response: z.object({ statusCode: z.number() }) });

/** How Vault refuses to patch a key whose newest version was deleted. */
const Deleted = z.object({
  response: z.object({ body: z.object({ data: z.object({ version: z.int().min(1) }) }) }),
});

function statusOf(error: unknown): number | undefined {
  return Failure.safeParse(error).data?.response.statusCode;
}

function codeOf(error: unknown): string {
  if (typeof error !== "object" || error === null) return "no answer";
  if ("code" in error && typeof error.code === "string") return error.code;
  return error instanceof z.ZodError ? "an answer of unknown shape" : "no answer";
}
