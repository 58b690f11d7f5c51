import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AUDIENCES, credentialsPath } from "@tradingbots/crds";
import createVaultClient from "node-vault";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { callVault, createOrphanToken } from "../../hack/vault/vault-client.ts";
import { startVault, type VaultServer } from "../../hack/vault/vault.ts";
import { discoverTokenIssuer } from "../../operator/src/vault-setup/discovery.ts";
import { setUpVault } from "../../operator/src/vault-setup/vault-setup.ts";
import { type CredentialStore, createVaultStore } from "../src/accounts/credential-store.ts";
import { newId } from "../src/id.ts";
import { loggedError } from "../src/logger.ts";
import { startCluster, SYSTEM_NAMESPACE, type TestCluster, tokenOf } from "./cluster.ts";
import { createFakeCredentialStore } from "./fake-credential-store.ts";

/** One suite for the real Vault, set up as in production, and for the fake that other tests use. */

let cluster: TestCluster;
let vault: VaultServer;
let directory: string;

beforeAll(async () => {
  [cluster, vault, directory] = await Promise.all([
    startCluster(),
    startVault(),
    mkdtemp(join(tmpdir(), "credential-store-")),
  ]);
  const rules = `path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }`;
  const policy = { name: "set-up", rules };
  const token = await createOrphanToken(vault.address, vault.rootToken, { policy, ttl: "5m" });
  const tokenIssuer = await discoverTokenIssuer(cluster.admin);
  const client = createVaultClient({ endpoint: vault.address, token });
  await setUpVault(client, { tokenIssuer, systemNamespace: SYSTEM_NAMESPACE });
});
afterAll(async () => {
  await Promise.all([vault.stop(), cluster.stop()]);
  await rm(directory, { recursive: true });
});

async function realStore(audience: string = AUDIENCES.vault): Promise<CredentialStore> {
  const tokenFile = join(directory, `token-${newId("bot")}`);
  await writeFile(
    tokenFile,
    await tokenOf(cluster.admin, { account: "tradingbots-api", audience }),
  );
  return createVaultStore({ address: vault.address, tokenFile, now: Date.now });
}

interface Subject {
  readonly store: CredentialStore;
  readonly peek: (path: string) => Promise<unknown>;
}

async function realSubject(): Promise<Subject> {
  return {
    store: await realStore(),
    peek: async (path) => {
      const token = vault.rootToken;
      const request = { method: "GET", path: `tradingbots/data/${path}`, token } as const;
      return (await callVault(vault.address, request)).body;
    },
  };
}

async function fakeSubject(): Promise<Subject> {
  const fake = createFakeCredentialStore();
  return { store: fake, peek: async (path) => ({ data: { data: fake.peek(path) } }) };
}

const KEY = { apiKey: "key-one", apiSecret: "secret-one" };
const NEWER = { apiKey: "key-two", apiSecret: "secret-two", passphrase: "words" };
const unavailable = { code: "vault_unavailable" };

describe.for<[name: string, make: () => Promise<Subject>]>([
  ["the real Vault", realSubject],
  ["the fake", fakeSubject],
])("%s", ([, make]) => {
  test("a new key is version 1, each replacement the next, and the newest counts", async () => {
    const { store, peek } = await make();
    const path = credentialsPath("tradingbots-00", newId("acct"));
    expect(await store.create(path, KEY)).toBe(1);
    expect(await store.replace(path, NEWER)).toBe(2);
    expect(await store.replace(path, NEWER)).toBe(3);
    expect(await peek(path)).toMatchObject({ data: { data: NEWER } });
  });

  test("a key is not created where one is", async () => {
    const { store, peek } = await make();
    const path = credentialsPath("tradingbots-00", newId("acct"));
    await store.create(path, KEY);
    await expect(store.create(path, NEWER)).rejects.toMatchObject(unavailable);
    expect(await peek(path)).toMatchObject({ data: { data: KEY } });
  });

  test("it answers a ping", async () => {
    const { store } = await make();
    await expect(store.ping()).resolves.toBeUndefined();
  });
});

test("a login that is lost is made again", async () => {
  const store = await realStore();
  const path = credentialsPath("tradingbots-00", newId("acct"));
  await store.create(path, KEY);
  const revoke = {
    method: "PUT",
    path: "sys/leases/revoke-prefix/auth/jwt/login",
    token: vault.rootToken,
  } as const;
  await callVault(vault.address, revoke);
  expect(await store.replace(path, NEWER)).toBe(2);
});

test("a token for another audience logs nobody in", async () => {
  const store = await realStore(AUDIENCES.journal);
  await expect(store.create("tradingbots-00/acct-x", KEY)).rejects.toMatchObject(unavailable);
});

test("what fails says nothing of the key", async () => {
  const tokenFile = join(directory, "token-nobody-reads");
  await writeFile(tokenFile, "no token");
  const store = createVaultStore({ address: "http://127.0.0.1:1", tokenFile, now: Date.now });
  const refused: unknown = await store
    .create("tradingbots-00/acct-x", KEY)
    .catch((error: unknown) => error);
  expect(refused).toMatchObject(unavailable);
  const told = JSON.stringify(loggedError(refused));
  expect(told).toContain("ECONNREFUSED");
  expect(told).not.toContain(KEY.apiSecret);
  expect(told).not.toContain("no token");
  await expect(store.ping()).rejects.toMatchObject(unavailable);
});
