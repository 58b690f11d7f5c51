import { once } from "node:events";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { type Certificates, issueCertificates } from "../../../hack/control-plane/certificates.ts";
import { createKubeClient, inClusterAccess } from "../src/index.ts";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

async function readKeyPair({ server: { certificate, key } }: Certificates) {
  return { cert: await readFile(certificate, "utf8"), key: await readFile(key, "utf8") };
}

/** An API server that tells who asked, and a pod's mounted service account; both can be changed as a cluster changes them. */
async function rotatingCluster() {
  const directory = await mkdtemp(join(tmpdir(), "rotation-"));
  ends.push(() => rm(directory, { recursive: true }));
  const authorities = await Promise.all(
    ["old", "new"].map(async (name) => {
      await mkdir(join(directory, name));
      return issueCertificates(join(directory, name));
    }),
  );
  const [before, after] = authorities;
  if (before === undefined || after === undefined) throw new Error("two authorities are needed");
  const server = createServer(await readKeyPair(before), (request, response) => {
    response.end(JSON.stringify({ said: request.headers.authorization }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ends.push(() => server.close());
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");

  async function mount(authority: Certificates, token: string): Promise<void> {
    await copyFile(authority.ca, join(directory, "ca.crt"));
    await writeFile(join(directory, "token"), token);
  }
  await mount(before, "first");
  const client = createKubeClient(
    inClusterAccess({ host: "127.0.0.1", port: String(address.port) }, directory),
  );
  ends.push(() => client.close());
  const rotate = async () => {
    server.setSecureContext(await readKeyPair(after));
    server.closeAllConnections();
    await mount(after, "second");
  };
  return { client, rotate };
}

test("a token and a certificate authority that are renewed in their files are followed", async () => {
  const { client, rotate } = await rotatingCluster();
  expect(await client.raw("/version")).toEqual({ said: "Bearer first" });
  await rotate();
  await expect(client.raw("/version")).rejects.toThrow("got no answer");
  const now = performance.now.bind(performance);
  const clock = vi.spyOn(performance, "now").mockImplementation(() => now() + 10_000);
  ends.push(() => clock.mockRestore());
  expect(await client.raw("/version")).toEqual({ said: "Bearer second" });
});
