import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { writeFile } from "node:fs/promises";
import { LEASES } from "@tradingbots/kube";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { freePorts } from "../../hack/control-plane/free-ports.ts";
import { type Platform, startPlatform } from "./platform.ts";

/** The process itself, twice: one leads, the other stands by. Vault and journal are out of reach, which stops neither. */

const MAIN = join(import.meta.dirname, "../src/main.ts");
let platform: Platform;
const running = new Set<ChildProcess>();

beforeAll(async () => {
  platform = await startPlatform();
});
afterEach(async () => {
  for (const child of running) {
    child.kill("SIGKILL");
    await once(child, "exit");
  }
});
afterAll(() => platform?.stop());

async function startProcess(name: string) {
  const [port = 0] = await freePorts(1);
  const token = `${platform.kubeconfigPath}.token`;
  await writeFile(token, "unused");
  const child = spawn(process.execPath, [MAIN], {
    env: {
      KUBECONFIG: platform.kubeconfigPath,
      POD_NAMESPACE: "default",
      POD_NAME: name,
      PORT: String(port),
      BUCKETS: "1",
      LOG_LEVEL: "error",
      VAULT_ADDR: "http://127.0.0.1:1",
      VAULT_TOKEN_FILE: token,
      VAULT_AGENT_IMAGE: "vault:1",
      JOURNAL_URL: "http://127.0.0.1:1",
      JOURNAL_TOKEN_FILE: token,
    },
    stdio: ["ignore", "inherit", "inherit"],
  });
  running.add(child);
  child.once("exit", () => running.delete(child));
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`).catch(() => undefined);
    return response === undefined ? "" : response.text();
  };
  return {
    child,
    isReady: async () => (await get("/readyz")) === "ok",
    leads: async () => /^tradingbots_operator_is_leader 1$/m.test(await get("/metrics")),
  };
}

test("the leader acts, and a standby takes over as soon as it leaves", async () => {
  const first = await startProcess("operator-0");
  await expect.poll(first.leads, { timeout: 30_000 }).toBe(true);
  const second = await startProcess("operator-1");
  await expect.poll(second.isReady, { timeout: 30_000 }).toBe(true);
  expect(await second.leads()).toBe(false);
  const before = await platform.createBot();
  await expect.poll(() => platform.pod(before), { timeout: 15_000 }).toBeDefined();

  first.child.kill("SIGTERM");
  const leftAt = performance.now();
  expect(await once(first.child, "exit")).toEqual([0, null]);
  await expect.poll(second.leads, { timeout: 10_000 }).toBe(true);
  // Without the release it would be the lease's 15 s.
  expect(performance.now() - leftAt).toBeLessThan(10_000);
  const lease = await platform.client.get(LEASES, {
    namespace: "default",
    name: "tradingbots-operator",
  });
  expect(lease?.spec?.holderIdentity).toMatch(/^operator-1_/);
  const after = await platform.createBot();
  await expect.poll(() => platform.pod(after), { timeout: 15_000 }).toBeDefined();
});
