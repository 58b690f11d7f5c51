import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { kubeconfigAccess } from "./cluster-access.ts";

const directory = mkdtempSync(join(tmpdir(), "kubeconfig-"));
afterAll(() => rmSync(directory, { recursive: true }));

function kubeconfig(name: string, user: string, context = "here"): string {
  const path = join(directory, name);
  writeFileSync(
    path,
    `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:6443", certificate-authority-data: Y2E=}}]
users: [{name: u, user: ${user}}]
contexts: [{name: here, context: {cluster: c, user: u}}]
current-context: ${context}
`,
  );
  return path;
}

test("an embedded client certificate", async () => {
  const path = kubeconfig("cert", "{client-certificate-data: Y2VydA==, client-key-data: a2V5}");
  const access = await kubeconfigAccess(path);
  expect(access).toMatchObject({
    server: "https://127.0.0.1:6443",
    clientCertificate: { cert: "cert", key: "key" },
  });
  expect([access.ca(), access.token()]).toEqual(["ca", undefined]);
});

test("a token, and a token in a file beside the kubeconfig", async () => {
  expect((await kubeconfigAccess(kubeconfig("token", "{token: secret}"))).token()).toBe("secret");
  writeFileSync(join(directory, "token-file"), "from-file\n");
  const access = await kubeconfigAccess(kubeconfig("file", "{tokenFile: token-file}"));
  expect(access.token()).toBe("from-file");
});

test.each([
  { name: "no such context", user: "{}", context: "there", message: /contexts has no entry there/ },
  {
    name: "a plugin",
    user: "{exec: {command: aws}}",
    context: "here",
    message: /exec or auth-provider/,
  },
])("$name is named", async ({ name, user, context, message }) => {
  await expect(kubeconfigAccess(kubeconfig(name, user, context))).rejects.toThrow(message);
});
