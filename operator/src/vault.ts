import { credentialsPath, VAULT } from "@tradingbots/crds";
import { admitWrite, type WriteGuard } from "@tradingbots/kube";
import nodeVault from "node-vault";
import { z } from "zod";

/** What the operator may know of a key: that it exists, and its version. */
export interface VaultMetadata {
  /** Version of the key that is stored now; undefined when there is none. @throws Error when Vault does not answer. */
  currentVersion(namespace: string, accountName: string): Promise<number | undefined>;
  /** Makes Vault forget the key with all its versions; a key that is not there is fine. */
  forget(namespace: string, accountName: string): Promise<void>;
}

/** The same Vault, that forgets nothing for a process which may not write. @throws WriteForbiddenError from `forget` */
export function guardedVault(
  vault: VaultMetadata,
  guard: Pick<WriteGuard, "mayWrite" | "onForbidden">,
): VaultMetadata {
  return {
    currentVersion: (namespace, accountName) => vault.currentVersion(namespace, accountName),
    forget: async (namespace, accountName) => {
      admitWrite(guard, "no key is forgotten");
      await vault.forget(namespace, accountName);
    },
  };
}

export interface VaultOptions {
  readonly address: string;
  /** The projected token for the audience `vault`. */
  readonly token: () => string;
  readonly now?: () => number;
}

const ROLE = "operator";
const REQUEST_TIMEOUT_MS = 5_000;
/** Share of a token's life after which another one is fetched. */
const RENEW_AT = 0.8;

const Login = z.object({
  auth: z.object({ client_token: z.string().min(1), lease_duration: z.number().min(1) }),
});
const Metadata = z.object({
  data: z.object({
    current_version: z.number(),
    versions: z.record(z.string(), z.object({ deletion_time: z.string(), destroyed: z.boolean() })),
  }),
});
const ApiError = z.object({ response: z.object({ statusCode: z.number() }) });

/** Vault's metadata of keys, over the operator's own login; a key's value is out of its reach. */
export function createVaultMetadata(options: VaultOptions): VaultMetadata {
  const now = options.now ?? Date.now;
  const settings = {
    endpoint: options.address,
    requestOptions: { timeout: REQUEST_TIMEOUT_MS },
  };
  let session: { readonly token: string; readonly renewAt: number } | undefined;
  let loggingIn: Promise<string> | undefined;

  async function token(): Promise<string> {
    if (session !== undefined && now() < session.renewAt) return session.token;
    loggingIn ??= login().finally(() => (loggingIn = undefined));
    return loggingIn;
  }

  async function login(): Promise<string> {
    const answer: unknown = await nodeVault(settings).write(`auth/${VAULT.jwtMount}/login`, {
      role: ROLE,
      jwt: options.token(),
    });
    const { client_token, lease_duration } = Login.parse(answer).auth;
    session = { token: client_token, renewAt: now() + lease_duration * 1_000 * RENEW_AT };
    return client_token;
  }

  type Client = ReturnType<typeof nodeVault>;

  async function ask<T>(what: string, question: (client: Client) => Promise<T>): Promise<T> {
    try {
      try {
        return await question(nodeVault({ ...settings, token: await token() }));
      } catch (error) {
        if (statusOf(error) !== 403 || session === undefined) throw error;
        session = undefined; // revoked, or Vault has been set up anew: log in once more
        return await question(nodeVault({ ...settings, token: await token() }));
      }
    } catch (cause) {
      throw new Error(`Vault: while ${what}`, { cause });
    }
  }

  return {
    currentVersion: (namespace, accountName) =>
      ask(`reading the metadata of ${accountName}`, async (client) => {
        try {
          const answer: unknown = await client.read(metadataPath(namespace, accountName));
          return presentVersion(answer);
        } catch (error) {
          if (statusOf(error) === 404) return undefined;
          throw error;
        }
      }),
    forget: (namespace, accountName) =>
      ask(`deleting the key of ${accountName}`, async (client) => {
        await client.delete(metadataPath(namespace, accountName));
      }),
  };
}

function metadataPath(namespace: string, accountName: string): string {
  return `${VAULT.mount}/metadata/${credentialsPath(namespace, accountName)}`;
}

function presentVersion(answer: unknown): number | undefined {
  const { current_version, versions } = Metadata.parse(answer).data;
  const current = versions[String(current_version)];
  const isThere = current !== undefined && !current.destroyed && current.deletion_time === "";
  return isThere ? current_version : undefined;
}

function statusOf(error: unknown): number | undefined {
  return ApiError.safeParse(error).data?.response.statusCode;
}
