import {
  createKubeClient,
  kubeconfigAccess,
  NAMESPACES,
  SERVICE_ACCOUNTS,
} from "@tradingbots/kube";
import nodeVault from "node-vault";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { type ControlPlane, startControlPlane } from "../../hack/control-plane/control-plane.ts";
import { createOrphanToken } from "../../hack/vault/vault-client.ts";
import { startVault, type VaultServer } from "../../hack/vault/vault.ts";
import { discoverTokenIssuer } from "../src/vault-setup/discovery.ts";
import { setUpVault } from "../src/vault-setup/vault-setup.ts";
import { createVaultMetadata, type VaultMetadata } from "../src/vault.ts";
import { createFakeVault } from "./fake-vault.ts";

/** One table for the real Vault, reached with a real service account token, and for the fake that other tests use. */

const NAMESPACE = "tradingbots-00";
const SYSTEM = "tradingbots";

interface VaultUnderTest {
  readonly metadata: VaultMetadata;
  /** What the API does: gives back the version. */
  readonly store: (namespace: string, accountName: string) => Promise<number>;
}

let controlPlane: ControlPlane;
let server: VaultServer;
let operatorToken: string;
let subjects: Record<"real" | "fake", VaultUnderTest>;

beforeAll(async () => {
  [controlPlane, server] = await Promise.all([startControlPlane(), startVault()]);
  const client = createKubeClient(await kubeconfigAccess(controlPlane.kubeconfigPath));
  await client.create(NAMESPACES, {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: SYSTEM },
  });
  const key = { namespace: SYSTEM, name: "tradingbots-operator" };
  await client.create(SERVICE_ACCOUNTS, {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: key,
  });
  const request = await client.create(TOKEN_REQUESTS, {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    metadata: { namespace: SYSTEM, name: key.name },
    spec: { audiences: ["vault"], expirationSeconds: 3_600 },
  });
  operatorToken = request.status.token;
  const { address, rootToken } = server;
  const policy = {
    name: "set-up",
    rules: 'path "*" { capabilities = ["create","read","update","sudo"] }',
  };
  const setUp = nodeVault({
    endpoint: address,
    token: await createOrphanToken(address, rootToken, { policy, ttl: "5m" }),
  });
  await setUpVault(setUp, {
    tokenIssuer: await discoverTokenIssuer(client),
    systemNamespace: SYSTEM,
  });
  await client.close();
  const fake = createFakeVault();
  subjects = {
    real: {
      metadata: createVaultMetadata({ address, token: () => operatorToken }),
      store: (namespace, accountName) => storeAsRoot(`${namespace}/${accountName}`),
    },
    fake: { metadata: fake, store: fake.store },
  };
});
afterAll(async () => {
  await server?.stop();
  await controlPlane?.stop();
});

/** A subresource of the service account. */
const TOKEN_REQUESTS = {
  apiVersion: "v1",
  kind: "TokenRequest",
  plural: "serviceaccounts/tradingbots-operator/token",
  scope: "Namespaced" as const,
  read: (value: unknown) => z.object({ status: z.object({ token: z.string() }) }).parse(value),
};

async function storeAsRoot(path: string): Promise<number> {
  const root = nodeVault({ endpoint: server.address, token: server.rootToken });
  const answer: unknown = await root.write(`tradingbots/data/${path}`, {
    data: { apiKey: "k", apiSecret: "s" },
  });
  return z.object({ data: z.object({ version: z.number() }) }).parse(answer).data.version;
}

describe.each(["real", "fake"] as const)("the %s Vault", (which) => {
  const ACCOUNT = "acct-00000000000000000001";

  test("knows no version of a key that was never stored", async () => {
    const { metadata } = subjects[which];
    expect(await metadata.currentVersion(NAMESPACE, "acct-nobody")).toBeUndefined();
  });

  test("counts versions", async () => {
    const { metadata, store } = subjects[which];
    expect(await store(NAMESPACE, ACCOUNT)).toBe(1);
    expect(await metadata.currentVersion(NAMESPACE, ACCOUNT)).toBe(1);
    expect(await store(NAMESPACE, ACCOUNT)).toBe(2);
    expect(await metadata.currentVersion(NAMESPACE, ACCOUNT)).toBe(2);
  });

  test("keeps accounts of the same name in two namespaces apart", async () => {
    const { metadata } = subjects[which];
    expect(await metadata.currentVersion("tradingbots-01", ACCOUNT)).toBeUndefined();
  });

  test("forgets a key with all its versions, as often as it is asked", async () => {
    const { metadata, store } = subjects[which];
    await metadata.forget(NAMESPACE, ACCOUNT);
    await metadata.forget(NAMESPACE, ACCOUNT);
    expect(await metadata.currentVersion(NAMESPACE, ACCOUNT)).toBeUndefined();
    expect(await store(NAMESPACE, ACCOUNT)).toBe(1);
  });
});

describe("the real Vault besides", () => {
  test("a deleted latest version counts as missing", async () => {
    const path = `${NAMESPACE}/acct-00000000000000000002`;
    await storeAsRoot(path);
    const root = nodeVault({ endpoint: server.address, token: server.rootToken });
    await root.delete(`tradingbots/data/${path}`);
    const { metadata } = subjects.real;
    expect(await metadata.currentVersion(NAMESPACE, "acct-00000000000000000002")).toBeUndefined();
  });

  test("logs in once for many questions, and again when its token is near its end", async () => {
    let now = Date.now();
    let logins = 0;
    const metadata = createVaultMetadata({
      address: server.address,
      token: () => (logins++, operatorToken),
      now: () => now,
    });
    const ask = () => metadata.currentVersion(NAMESPACE, "acct-nobody");
    await Promise.all([ask(), ask(), ask()]);
    await ask();
    expect(logins).toBe(1);
    now += 3_600_000 * 0.81;
    await ask();
    expect(logins).toBe(2);
  });

  test("says what was being done when it does not answer", async () => {
    const metadata = createVaultMetadata({ address: "http://127.0.0.1:1", token: () => "x" });
    await expect(metadata.currentVersion(NAMESPACE, "acct-1")).rejects.toThrow(
      "Vault: while reading the metadata of acct-1",
    );
  });
});
