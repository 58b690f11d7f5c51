import { readFile } from "node:fs/promises";
import { Server as TlsServer } from "node:tls";

/** In PEM: the chain, this server's own certificate first, and its private key. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

export async function readCertificate(files: CertificateFiles): Promise<Certificate> {
  const [cert, key] = await Promise.all([
    readFile(files.certFile, "utf8"),
    readFile(files.keyFile, "utf8"),
  ]);
  return { cert, key };
}

/**
 * Answers a function that looks whether the files have been replaced, as cert-manager does weeks before the end, and lets new connections
 * have what is there now. Of two files that do not fit yet the next look takes care; connections that are open go on.
 */
export function createCertificateRenewal(
  server: unknown,
  { files, first }: { readonly files: CertificateFiles; readonly first: Certificate },
) {
  if (!(server instanceof TlsServer)) throw new Error("only a server over TLS has a certificate");
  let current = first;
  /** @throws Error when the certificate is not the key's, and then the one before goes on */
  return async (): Promise<void> => {
    const found = await readCertificate(files);
    if (found.cert === current.cert && found.key === current.key) return;
    server.setSecureContext({ ...found, minVersion: "TLSv1.3" });
    current = found;
  };
}
