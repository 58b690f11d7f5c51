import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "node:tls";
import { afterEach, expect, test } from "vitest";
import { issueCertificates } from "../../../hack/control-plane/certificates.ts";
import { createKubeClient, NAMESPACES } from "../src/index.ts";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

/** Speaks TLS and agrees to HTTP/2, and never says a word of that: like a connection whose reset was lost as it was opened. */
async function silentServer() {
  const directory = await mkdtemp(join(tmpdir(), "greeting-"));
  ends.push(() => rm(directory, { recursive: true }));
  const certificates = await issueCertificates(directory);
  const [cert, key, ca] = await Promise.all(
    [certificates.server.certificate, certificates.server.key, certificates.ca].map((path) =>
      readFile(path, "utf8"),
    ),
  );
  const server = createServer({ cert, key, ALPNProtocols: ["h2"] }, (socket) => {
    socket.resume().on("error", () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ends.push(() => server.close());
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { url: `https://127.0.0.1:${address.port}`, ca };
}

test("a connection on which the server says nothing from its beginning is given up within seconds", async () => {
  const { url, ca } = await silentServer();
  const access = { server: url, ca: () => ca, clientCertificate: undefined };
  const client = createKubeClient({ ...access, token: () => undefined });
  ends.push(() => client.close());
  const { signal } = new AbortController();
  const startedAt = performance.now();
  await expect(client.watch(NAMESPACES, { timeoutSeconds: 600, signal }).next()).rejects.toThrow(
    "got no answer",
  );
  expect(performance.now() - startedAt).toBeLessThan(10_000);
});
