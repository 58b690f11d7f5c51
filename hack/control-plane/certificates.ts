import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa, ExecaError } from "execa";

/** Paths of PEM files in one directory. */
export interface Certificates {
  readonly ca: string;
  readonly server: KeyPair;
  readonly admin: KeyPair;
  /** Signs service account tokens: RSA, as in kind, so tokens carry the same algorithm (RS256) as in a real cluster. */
  readonly serviceAccount: { readonly privateKey: string; readonly publicKey: string };
}

interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** These serve one test run; nothing outlives the day. */
const DAYS = "-days 2";
const EC_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";

/** Makes a certificate authority with a server and an administrator's certificate, for an API server on loopback. */
export async function issueCertificates(directory: string): Promise<Certificates> {
  const openssl = (command: string) => runOpenssl(directory, command);

  async function issue(name: string, subject: string, extensions: string): Promise<KeyPair> {
    await writeFile(join(directory, `${name}.ext`), extensions);
    await openssl(`req ${EC_KEY} -keyout ${name}.key -out ${name}.csr -subj ${subject}`);
    const signer = "-CA ca.crt -CAkey ca.key -CAserial ca.srl -CAcreateserial";
    const files = `-in ${name}.csr -extfile ${name}.ext -out ${name}.crt`;
    await openssl(`x509 -req ${files} ${signer} ${DAYS}`);
    return { certificate: join(directory, `${name}.crt`), key: join(directory, `${name}.key`) };
  }

  await openssl(`req -x509 ${EC_KEY} -keyout ca.key -out ca.crt ${DAYS} -subj /CN=ca`);
  await openssl("genrsa -out sa.key 2048");
  await openssl("rsa -in sa.key -pubout -out sa.pub");
  const hosts = "IP:127.0.0.1,DNS:localhost,DNS:kubernetes.default.svc";
  return {
    ca: join(directory, "ca.crt"),
    server: await issue(
      "kube-apiserver",
      "/CN=kube-apiserver",
      `subjectAltName=${hosts}\nextendedKeyUsage=serverAuth\n`,
    ),
    admin: await issue("admin", "/O=system:masters/CN=admin", "extendedKeyUsage=clientAuth\n"),
    serviceAccount: {
      privateKey: join(directory, "sa.key"),
      publicKey: join(directory, "sa.pub"),
    },
  };
}

/** The command names its files relative to the directory, so no argument holds a space. */
async function runOpenssl(directory: string, command: string): Promise<void> {
  try {
    await execa("openssl", command.split(" "), { cwd: directory });
  } catch (error) {
    if (error instanceof ExecaError && error.code === "ENOENT") {
      throw new Error("openssl is needed to make certificates, and it is not on PATH", {
        cause: error,
      });
    }
    throw error;
  }
}
