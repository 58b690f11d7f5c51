import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { createKubeClient, kubeconfigAccess } from "@tradingbots/kube";
import nodeVault from "node-vault";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { startControlPlane, type ControlPlane } from "../../hack/control-plane/control-plane.ts";
import { toolPath } from "../../hack/tools/tools.ts";
import { callVault, createOrphanToken } from "../../hack/vault/vault-client.ts";
import { startVault, type VaultServer } from "../../hack/vault/vault.ts";
import { type TokenIssuer, discoverTokenIssuer } from "../src/vault-setup/discovery.ts";
import { setUpVault } from "../src/vault-setup/vault-setup.ts";

/** A real Vault, and tokens that a real API server issued: who may do what, after the set-up ran. */

const run = promisify(execFile);
const chartFiles = resolve(import.meta.dirname, "../../charts/tradingbots/files");
const NAMESPACE = "tradingbots-00";
const SYSTEM_NAMESPACE = "tradingbots";
const OWN = "acct-4h7n2d9s5b1f8j3k6p0r";
const OTHER = "acct-0000000000000000000x";
const KEY = { apiKey: "key-of-mine", apiSecret: "secret-of-mine" };

let controlPlane: ControlPlane;
let vault: VaultServer;

beforeAll(async () => {
  [controlPlane, vault] = await Promise.all([startControlPlane(), startVault()]);
  const accounts = {
    [NAMESPACE]: [OWN, OTHER, "paper-bot-1"],
    [SYSTEM_NAMESPACE]: ["tradingbots-api", "tradingbots-operator", "tradingbots-journal", OWN],
    default: [OWN, "tradingbots-api"],
  };
  for (const [namespace, names] of Object.entries(accounts)) {
    if (namespace !== "default") await kubectl("create", "namespace", namespace);
    for (const name of names) await kubectl("create", "serviceaccount", name, "-n", namespace);
  }
  await setUp();
  for (const account of [OWN, OTHER]) {
    await asRoot("POST", `tradingbots/data/${NAMESPACE}/${account}`, { data: KEY });
  }
});

afterAll(async () => {
  await vault?.stop();
  await controlPlane?.stop();
});

describe("set-up", () => {
  it("needs no more than the chart's policy, and may be repeated", async () => {
    await setUp();
    await expect(setUp()).resolves.toBeUndefined();
  });

  it("trusts the cluster's issuer and the very keys that sign its tokens", async () => {
    const { body } = await asRoot("GET", "auth/jwt/config");
    const publicKey = await readFile(controlPlane.serviceAccountPublicKeyPath, "utf8");
    expect(body).toMatchObject({
      data: {
        bound_issuer: controlPlane.issuer,
        jwt_validation_pubkeys: [publicKey.trim()],
      },
    });
  });

  it("refuses a token that never expires", async () => {
    await expect(setUp(vault.rootToken)).rejects.toThrow("the set-up token never expires");
  });

  it("leaves another cluster's logins alone", async () => {
    const tokenIssuer = { issuer: "https://other.example", publicKeys: [] };
    await expect(setUp(await setupToken(), tokenIssuer)).rejects.toThrow(
      `trusts ${controlPlane.issuer} and this cluster's issuer is https://other.example`,
    );
  });

  it("leaves logins alone whose issuer nobody named, and takes over where an earlier set-up broke off", async () => {
    const other = await startVault();
    const atJwt = (path: string, body: object) =>
      callVault(other.address, { method: "POST", path, token: other.rootToken, body });
    try {
      const { issuer, publicKeys } = await discover();
      await atJwt("sys/auth/jwt", { type: "jwt" });
      await setUp(await setupToken(other), undefined, other);
      await atJwt("auth/jwt/config", { bound_issuer: "", jwt_validation_pubkeys: publicKeys });
      await expect(setUp(await setupToken(other), undefined, other)).rejects.toThrow(
        `trusts an issuer without a name and this cluster's issuer is ${issuer}`,
      );
    } finally {
      await other.stop();
    }
  });

  it("leaves a mount alone that is not its own", async () => {
    const other = await startVault();
    try {
      await callVault(other.address, {
        method: "POST",
        path: "sys/mounts/tradingbots",
        token: other.rootToken,
        body: { type: "kv", options: { version: "1" } },
      });
      const token = await setupToken(other);
      await expect(setUp(token, undefined, other)).rejects.toThrow("is kv version 1");
    } finally {
      await other.stop();
    }
  });
});

describe("login", () => {
  it.each([
    ["an account's pod", "bot", NAMESPACE, OWN, "vault", true],
    ["an account's pod with a token for the journal", "bot", NAMESPACE, OWN, "journal", false],
    ["a paper bot", "bot", NAMESPACE, "paper-bot-1", "vault", false],
    ["an account outside the bucket namespaces", "bot", "default", OWN, "vault", false],
    ["an account in the system's namespace", "bot", SYSTEM_NAMESPACE, OWN, "vault", false],
    ["an account's pod as operator", "operator", NAMESPACE, OWN, "vault", false],
    ["an account's pod as api", "api", NAMESPACE, OWN, "vault", false],
    ["the api", "api", SYSTEM_NAMESPACE, "tradingbots-api", "vault", true],
    ["the api as operator", "operator", SYSTEM_NAMESPACE, "tradingbots-api", "vault", false],
    ["the api's namesake elsewhere", "api", "default", "tradingbots-api", "vault", false],
    ["the operator", "operator", SYSTEM_NAMESPACE, "tradingbots-operator", "vault", true],
    ["the operator as a bot", "bot", SYSTEM_NAMESPACE, "tradingbots-operator", "vault", false],
    ["the journal as api", "api", SYSTEM_NAMESPACE, "tradingbots-journal", "vault", false],
  ])("of %s, role %s", async (...[, role, namespace, serviceAccount, audience, admitted]) => {
    const jwt = await tokenOf({ namespace, serviceAccount, audience });
    const { status } = await login(role, jwt);
    expect(status).toBe(admitted ? 200 : 400);
  });
});

describe("with its own token", () => {
  const data = `tradingbots/data/${NAMESPACE}`;
  const metadata = `tradingbots/metadata/${NAMESPACE}`;
  const fresh = `${data}/acct-fresh`;
  it.each([
    ["a bot reads its own key", "bot", "GET", `${data}/${OWN}`, 200],
    ["a bot cannot read another's key", "bot", "GET", `${data}/${OTHER}`, 403],
    [
      "a bot cannot read across namespaces",
      "bot",
      "GET",
      `tradingbots/data/tradingbots-01/${OWN}`,
      403,
    ],
    ["a bot cannot write its own key", "bot", "POST", `${data}/${OWN}`, 403],
    ["a bot cannot delete its own key", "bot", "DELETE", `${data}/${OWN}`, 403],
    ["a bot cannot see its key's metadata", "bot", "GET", `${metadata}/${OWN}`, 403],
    ["a bot cannot list accounts", "bot", "GET", `${metadata}?list=true`, 403],
    ["the api stores a key", "api", "POST", fresh, 200],
    ["the api replaces a key", "api", "PATCH", fresh, 200],
    ["the api replaces no key that is not there", "api", "PATCH", `${data}/acct-absent`, 404],
    ["the api of an earlier release replaces a key", "api", "POST", fresh, 200],
    ["the api cannot read a key, not even its own", "api", "GET", fresh, 403],
    ["the api cannot delete a key", "api", "DELETE", fresh, 403],
    ["the api cannot see metadata", "api", "GET", `${metadata}/acct-fresh`, 403],
    ["the api cannot list accounts", "api", "GET", `${metadata}?list=true`, 403],
    ["the operator sees a key's version", "operator", "GET", `${metadata}/acct-fresh`, 200],
    ["the operator cannot read a key", "operator", "GET", fresh, 403],
    ["the operator cannot write a key", "operator", "POST", fresh, 403],
    ["the operator cannot replace a key", "operator", "PATCH", fresh, 403],
    ["a bot cannot replace its own key", "bot", "PATCH", `${data}/${OWN}`, 403],
    ["the operator makes Vault forget a key", "operator", "DELETE", `${metadata}/acct-fresh`, 204],
    ["nobody changes roles", "operator", "POST", "auth/jwt/role/bot", 403],
  ] as const)("%s", async (...[, role, method, path, status]) => {
    const token = await tokenFor(role);
    const body = method === "POST" || method === "PATCH" ? { body: { data: KEY } } : {};
    expect(await callVault(vault.address, { method, path, token, ...body })).toMatchObject({
      status,
    });
  });
});

describe("the Vault agent with the chart's configuration", () => {
  it("writes the account's own key, for owner and group only", async () => {
    const { file, stop } = await runAgent(OWN);
    expect(JSON.parse(await readFile(file, "utf8"))).toEqual(KEY);
    expect((await stat(file)).mode & 0o777).toBe(0o440);
    await stop();
  });

  it("ends with an error that names the denied path", async () => {
    await expect(runAgent(OWN, { SERVICE_ACCOUNT: OTHER })).rejects.toThrow(
      new RegExp(`tradingbots/data/${NAMESPACE}/${OTHER}[^]*permission denied`),
    );
  });

  it("ends with an error when there is no key", async () => {
    await asRoot("DELETE", `tradingbots/metadata/${NAMESPACE}/${OTHER}`);
    await expect(runAgent(OTHER)).rejects.toThrow(
      new RegExp(`no secret exists at tradingbots/data/${NAMESPACE}/${OTHER}`),
    );
  });
});

async function setUp(token?: string, tokenIssuer?: TokenIssuer, server = vault): Promise<void> {
  const client = nodeVault({
    endpoint: server.address,
    token: token ?? (await setupToken(server)),
  });
  await setUpVault(client, {
    tokenIssuer: tokenIssuer ?? (await discover()),
    systemNamespace: SYSTEM_NAMESPACE,
  });
}

async function discover(): Promise<TokenIssuer> {
  const cluster = createKubeClient(await kubeconfigAccess(controlPlane.kubeconfigPath));
  try {
    return await discoverTokenIssuer(cluster);
  } finally {
    await cluster.close();
  }
}

async function setupToken(server = vault): Promise<string> {
  const rules = await readFile(join(chartFiles, "vault-setup-policy.hcl"), "utf8");
  const policy = { name: "tradingbots-setup", rules };
  return createOrphanToken(server.address, server.rootToken, { policy, ttl: "5m" });
}

function asRoot(method: "GET" | "POST" | "DELETE", path: string, body?: object) {
  const token = vault.rootToken;
  return callVault(vault.address, { method, path, token, ...(body === undefined ? {} : { body }) });
}

interface Identity {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly audience: string;
}

async function tokenOf({ namespace, serviceAccount, audience }: Identity): Promise<string> {
  const args = ["create", "token", serviceAccount, "-n", namespace, "--audience", audience];
  const { stdout } = await kubectl(...args);
  return stdout.trim();
}

function login(role: string, jwt: string) {
  return callVault(vault.address, {
    method: "POST",
    path: "auth/jwt/login",
    body: { role, jwt },
  });
}

async function tokenFor(role: "bot" | "api" | "operator"): Promise<string> {
  const identity =
    role === "bot"
      ? { namespace: NAMESPACE, serviceAccount: OWN }
      : { namespace: SYSTEM_NAMESPACE, serviceAccount: `tradingbots-${role}` };
  const { body } = await login(role, await tokenOf({ ...identity, audience: "vault" }));
  return z.object({ auth: z.object({ client_token: z.string() }) }).parse(body).auth.client_token;
}

/** Runs the agent as a pod's init container would, its absolute paths moved into a temporary directory. */
async function runAgent(serviceAccount: string, env: Readonly<Record<string, string>> = {}) {
  const directory = await mkdtemp(join(tmpdir(), "vault-agent-"));
  const stop = () => rm(directory, { recursive: true, force: true });
  const token = join(directory, "token");
  const file = join(directory, "credentials.json");
  const configuration = (await readFile(join(chartFiles, "vault-agent.hcl"), "utf8"))
    .replace("/var/run/secrets/tradingbots/vault/token", token)
    .replace("/vault/secrets/credentials.json", file);
  await writeFile(join(directory, "agent.hcl"), configuration);
  await writeFile(
    token,
    await tokenOf({ namespace: NAMESPACE, serviceAccount, audience: "vault" }),
  );
  try {
    await run(await toolPath("vault"), ["agent", `-config=${join(directory, "agent.hcl")}`], {
      env: {
        VAULT_ADDR: vault.address,
        POD_NAMESPACE: NAMESPACE,
        SERVICE_ACCOUNT: serviceAccount,
        HOME: directory,
        SKIP_SETCAP: "1",
        ...env,
      },
      timeout: 45_000,
    });
    return { file, stop };
  } catch (error) {
    await stop();
    const { stdout, stderr } = z.object({ stdout: z.string(), stderr: z.string() }).parse(error);
    throw new Error(`${stdout}${stderr}`, { cause: error });
  }
}

async function kubectl(...args: readonly string[]): Promise<{ readonly stdout: string }> {
  const kubeconfig = ["--kubeconfig", controlPlane.kubeconfigPath];
  return run(await toolPath("kubectl"), [...kubeconfig, ...args]);
}
