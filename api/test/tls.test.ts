import { once } from "node:events";
import { copyFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { connect as connectPlainly } from "node:net";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Certificates, issueCertificates } from "../../hack/control-plane/certificates.ts";
import { createCertificateRenewal, readCertificate } from "../src/certificate.ts";
import { createServer, type Server } from "../src/server.ts";

let directory: string;
let issued: readonly [first: Certificates, second: Certificates];
let server: Server;
let port: number;
let renew: () => Promise<void>;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "tls-"));
  issued = [await issue("first"), await issue("second")];
  await install(issued[0]);
  const certificate = await readCertificate(files());
  server = createServer({ log: { level: "silent" }, bodyBytesMax: 1_000, certificate });
  server.get("/", async ({ protocol }) => ({ protocol }));
  renew = createCertificateRenewal(server.server, { files: files(), first: certificate });
  port = Number(new URL(await server.listen({ host: "127.0.0.1", port: 0 })).port);
});
afterAll(async () => {
  await server.close();
  await rm(directory, { recursive: true });
});

async function issue(name: string): Promise<Certificates> {
  return issueCertificates(await mkdtemp(join(directory, name)));
}

function files() {
  return { certFile: join(directory, "tls.crt"), keyFile: join(directory, "tls.key") };
}

async function install(certificates: Certificates): Promise<void> {
  await copyFile(certificates.server.certificate, files().certFile);
  await copyFile(certificates.server.key, files().keyFile);
}

/** A connection that trusts one authority alone. */
async function dial(
  { ca }: Certificates,
  options: Partial<ConnectionOptions> = {},
): Promise<TLSSocket> {
  const socket = connect({ host: "127.0.0.1", port, ca: await readFile(ca), ...options });
  await once(socket, "secureConnect");
  return socket;
}

const REQUEST = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

test("it speaks TLS 1.3", async () => {
  const socket = await dial(issued[0]);
  expect(socket.getProtocol()).toBe("TLSv1.3");
  expect(await text(socket.end(REQUEST))).toContain('{"protocol":"https"}');
});

test("and neither TLS 1.2 nor HTTP in the open", async () => {
  await expect(dial(issued[0], { maxVersion: "TLSv1.2" })).rejects.toThrow(/protocol version/);
  const open = await text(connectPlainly(port, "127.0.0.1").end(REQUEST)).catch(() => "");
  expect(open).not.toContain("protocol");
});

test("who does not begin to speak it is let go after ten seconds", async () => {
  const accepted = once(server.server, "connection");
  const silent = connectPlainly(port, "127.0.0.1");
  await accepted;
  await once(silent.resume(), "close");
  expect(silent.bytesRead).toBe(0);
}, 20_000);

test("a renewed certificate is shown to who comes then, and one that is half there to nobody", async () => {
  const [first, second] = issued;
  const before = await dial(first);
  await copyFile(second.server.certificate, files().certFile);
  await expect(renew()).rejects.toThrow(/key values mismatch/);
  (await dial(first)).destroy();

  await install(second);
  await renew();
  expect((await dial(second)).destroy().destroyed).toBe(true);
  await expect(dial(first)).rejects.toThrow(/unable to verify|self-signed|certificate/);
  expect(await text(before.end(REQUEST))).toContain('{"protocol":"https"}');
});
