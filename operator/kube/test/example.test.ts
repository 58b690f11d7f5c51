import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startControlPlane, type ControlPlane } from "../../../hack/control-plane/control-plane.ts";
import { restrictNamespaces } from "../example/restrict-namespaces.ts";
import { createKubeClient, type KubeClient, kubeconfigAccess, NAMESPACES } from "../src/index.ts";

const PACKAGE = join(import.meta.dirname, "..");

let controlPlane: ControlPlane;
let client: KubeClient;
beforeAll(async () => {
  controlPlane = await startControlPlane();
  client = createKubeClient(await kubeconfigAccess(controlPlane.kubeconfigPath));
});
afterAll(async () => {
  await client?.close();
  await controlPlane?.stop();
});

async function levelOf(name: string): Promise<string | undefined> {
  const namespace = await client.get(NAMESPACES, { name });
  return namespace?.metadata?.labels?.["pod-security.kubernetes.io/enforce"];
}

async function create(name: string, labels: Record<string, string> = {}): Promise<void> {
  await client.create(NAMESPACES, {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name, labels },
  });
}

test("the README shows the example as it is", async () => {
  const readme = await readFile(join(PACKAGE, "README.md"), "utf8");
  const example = await readFile(join(PACKAGE, "example/restrict-namespaces.ts"), "utf8");
  expect(readme).toContain(`\`\`\`ts\n${example}\`\`\``);
});

test("the example works: what was there, what comes, what somebody changes back; and it ends", async () => {
  await create("before");
  await create("exempt", { "pod-security.kubernetes.io/enforce": "privileged" });
  const stopping = new AbortController();
  const access = await kubeconfigAccess(controlPlane.kubeconfigPath);
  const running = restrictNamespaces(access, stopping.signal);
  await expect.poll(() => levelOf("before"), { timeout: 10_000 }).toBe("restricted");
  await create("after");
  await expect.poll(() => levelOf("after"), { timeout: 10_000 }).toBe("restricted");
  const body = { metadata: { labels: { "pod-security.kubernetes.io/enforce": null } } };
  await client.patch(NAMESPACES, { name: "after" }, { type: "merge", body });
  await expect.poll(() => levelOf("after"), { timeout: 10_000 }).toBe("restricted");
  expect(await levelOf("exempt")).toBe("privileged");
  stopping.abort();
  await running;
});
