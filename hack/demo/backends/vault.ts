import { existsSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import {
  createOrphanToken,
  generateRootToken,
  initialise,
  revokeSelf,
  sealStatus,
  unseal,
} from "../../vault/vault-client.ts";

const POLICY_FILE = resolve(
  import.meta.dirname,
  "../../../charts/tradingbots/files/vault-setup-policy.hcl",
);
/** Long enough for images to load and the set-up Job to run on a slow machine. */
const SETUP_TOKEN_TTL = "15m";

interface VaultPlace {
  readonly address: string;
  /** Where the unseal key is kept, mode 0600: whoever runs the demo again needs it when the pod has restarted. */
  readonly keyFile: string;
}

/**
 * Initialises and unseals the demo's Vault as far as it needs it, and makes a short-lived token for the chart's set-up. The root
 * token lives for this one call: it is made, used and revoked, and never stored.
 * @returns the set-up token
 */
export async function initialiseVault({ address, keyFile }: VaultPlace): Promise<string> {
  const rootToken = await openVault({ address, keyFile });
  try {
    const rules = await readFile(POLICY_FILE, "utf8");
    const policy = { name: "tradingbots-setup", rules };
    return await createOrphanToken(address, rootToken, { policy, ttl: SETUP_TOKEN_TTL });
  } finally {
    await revokeSelf(address, rootToken);
  }
}

async function openVault({ address, keyFile }: VaultPlace): Promise<string> {
  const { initialized, sealed } = await sealStatus(address);
  if (!initialized) {
    const keys = await initialise(address);
    await keep(keyFile, keys.unsealKey); // before anything else can fail
    await unseal(address, keys.unsealKey);
    return keys.rootToken;
  }
  if (!existsSync(keyFile)) {
    throw new Error(
      `the Vault at ${address} was initialised by somebody else, or ${keyFile} is gone: run \`make down\` and begin anew`,
    );
  }
  const unsealKey = (await readFile(keyFile, "utf8")).trim();
  if (sealed) await unseal(address, unsealKey);
  return generateRootToken(address, unsealKey);
}

async function keep(file: string, content: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(`${file}.new`, `${content}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
}
