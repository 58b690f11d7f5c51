import { once } from "node:events";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { AUDIENCES, credentialsPath } from "@tradingbots/crds";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { type CredentialStore, createVaultStore } from "../src/accounts/credential-store.ts";
import { callVault } from "../../hack/vault/vault-client.ts";
import { newId } from "../src/id.ts";
import { loggedError } from "../src/logger.ts";
import { startCluster, type TestCluster } from "./cluster.ts";
import { createFakeCredentialStore } from "./fake-credential-store.ts";
import { startTestVault, type TestVault } from "./vault.ts";

/** One suite for the real Vault, set up as in production, and for the fake that other tests use. */

let cluster: TestCluster;
let vault: TestVault;

beforeAll(async () => {
  cluster = await startCluster();
  vault = await startTestVault(cluster);
});
afterAll(() => Promise.all([vault.stop(), cluster.stop()]));

async function realStore(audience?: string): Promise<CredentialStore> {
  const tokenFile = await vault.tokenFile(audience);
  return createVaultStore({ address: vault.address, tokenFile, now: Date.now });
}

interface Subject {
  readonly store: CredentialStore;
  readonly peek: (path: string) => Promise<unknown>;
  /** What the operator does when an account has ended. */
  readonly forget: (path: string) => Promise<unknown>;
}

async function realSubject(): Promise<Subject> {
  return {
    store: await realStore(),
    peek: vault.peek,
    forget: vault.forget,
  };
}

async function fakeSubject(): Promise<Subject> {
  const fake = createFakeCredentialStore();
  return {
    store: fake,
    peek: async (path) => ({ data: { data: fake.peek(path) } }),
    forget: async (path) => fake.forget(path),
  };
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

  test("a replacement leaves nothing of the key before", async () => {
    const { store, peek } = await make();
    const path = credentialsPath("tradingbots-00", newId("acct"));
    await store.create(path, NEWER);
    expect(await store.replace(path, KEY)).toBe(2);
    expect(await peek(path)).toHaveProperty("data.data", KEY);
  });

  test("a key is not replaced where none is", async () => {
    const { store, peek } = await make();
    const path = credentialsPath("tradingbots-00", newId("acct"));
    expect(await store.replace(path, KEY)).toBeUndefined();
    expect(await peek(path)).not.toHaveProperty("data.data.apiKey");
  });

  test("a key that was forgotten is not replaced, and can be created", async () => {
    const { store, peek, forget } = await make();
    const path = credentialsPath("tradingbots-00", newId("acct"));
    await store.create(path, KEY);
    await store.replace(path, KEY);
    await forget(path);
    expect(await store.replace(path, NEWER)).toBeUndefined();
    expect(await peek(path)).not.toHaveProperty("data.data.apiKey");
    expect(await store.create(path, NEWER)).toBe(1);
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

test("a key that somebody deleted by hand is replaced, but not once it was forgotten", async () => {
  const store = await realStore();
  const path = credentialsPath("tradingbots-00", newId("acct"));
  const request = { path: `tradingbots/data/${path}`, token: vault.rootToken } as const;
  await store.create(path, KEY);
  await callVault(vault.address, { ...request, method: "DELETE" });
  expect(await store.replace(path, NEWER)).toBe(2);
  expect(await vault.peek(path)).toMatchObject({ data: { data: NEWER } });
  await callVault(vault.address, { ...request, method: "DELETE" });
  await vault.forget(path);
  expect(await store.replace(path, KEY)).toBeUndefined();
  expect(await vault.peek(path)).not.toHaveProperty("data.data.apiKey");
});

test("a key that is forgotten while it replaces a deleted one is not put back", async () => {
  const path = credentialsPath("tradingbots-00", newId("acct"));
  const request = { path: `tradingbots/data/${path}`, token: vault.rootToken } as const;
  await (await realStore()).create(path, KEY);
  await callVault(vault.address, { ...request, method: "DELETE" });
  const forgetting = createServer(async (asked, answer) => {
    if (asked.method === "POST" && asked.url?.includes(path) === true) await vault.forget(path);
    const passed = await fetch(`${vault.address}${asked.url}`, {
      method: asked.method ?? "GET",
      headers: {
        "content-type": asked.headers["content-type"] ?? "application/json",
        "x-vault-token": String(asked.headers["x-vault-token"] ?? ""),
      },
      body: await text(asked),
    });
    answer.writeHead(passed.status, { "content-type": "application/json" });
    answer.end(await passed.text());
  }).listen(0, "127.0.0.1");
  await once(forgetting, "listening");
  const { port } = z.object({ port: z.int() }).parse(forgetting.address());
  const address = `http://127.0.0.1:${port}`;
  const store = createVaultStore({ address, tokenFile: await vault.tokenFile(), now: Date.now });
  await expect(store.replace(path, NEWER)).rejects.toMatchObject(unavailable);
  expect(await vault.peek(path)).not.toHaveProperty("data.data.apiKey");
  forgetting.close();
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
  await expect(store.ping()).rejects.toMatchObject(unavailable);
});

test("what fails says nothing of the key", async () => {
  const tokenFile = await vault.tokenFile();
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
