import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { callVault, sealStatus } from "../../vault/vault-client.ts";
import { startVault, type VaultServer } from "../../vault/vault.ts";
import { initialiseVault } from "../backends/vault.ts";

const Accessors = z.object({ data: z.object({ keys: z.array(z.string()) }) });
const Token = z.object({ data: z.object({ policies: z.array(z.string()) }) });

let vault: VaultServer;
let fresh: VaultServer;
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "tradingbots-demo-"));
  [vault, fresh] = await Promise.all([startVault(), startVault({ initialised: false })]);
});

afterAll(async () => {
  await vault?.stop();
  await fresh?.stop();
  await rm(directory, { recursive: true, force: true });
});

describe("initialiseVault", () => {
  it("opens a new Vault, keeps its key for its owner only, and again makes a token", async () => {
    const keyFile = join(directory, "new", "unseal-key");
    const first = await initialiseVault({ address: fresh.address, keyFile });
    expect((await stat(keyFile)).mode & 0o777).toBe(0o600);
    expect(await sealStatus(fresh.address)).toMatchObject({ initialized: true, sealed: false });
    const second = await initialiseVault({ address: fresh.address, keyFile });
    expect(second).not.toBe(first);
    expect(await readFile(keyFile, "utf8")).not.toContain(second);
  });

  it("unseals a Vault that has restarted", async () => {
    const keyFile = join(directory, "unseal-key");
    await writeFile(keyFile, vault.unsealKey);
    const { address, rootToken: token } = vault;
    await callVault(address, { method: "PUT", path: "sys/seal", token });
    expect(await sealStatus(address)).toMatchObject({ sealed: true });
    const setupToken = await initialiseVault({ address, keyFile });
    expect(await lookUp(setupToken)).toMatchObject({
      status: 200,
      body: {
        data: { orphan: true, policies: ["default", "tradingbots-setup"], renewable: false },
      },
    });
  });

  it("leaves no root token behind", async () => {
    const { address, rootToken: token } = vault;
    const { body } = await callVault(address, {
      method: "GET",
      path: "auth/token/accessors?list=true",
      token,
    });
    const { keys } = Accessors.parse(body).data;
    const policies = await Promise.all(
      keys.map(async (accessor) => {
        const path = "auth/token/lookup-accessor";
        const found = await callVault(address, { method: "POST", path, token, body: { accessor } });
        return Token.parse(found.body).data.policies;
      }),
    );
    // The one of the test itself, which startVault made.
    expect(policies.filter((names) => names.includes("root"))).toHaveLength(1);
  });

  it("says what to do when the key is gone", async () => {
    const keyFile = join(directory, "gone");
    await expect(initialiseVault({ address: vault.address, keyFile })).rejects.toThrow("make down");
  });
});

function lookUp(token: string) {
  return callVault(vault.address, { method: "GET", path: "auth/token/lookup-self", token });
}
