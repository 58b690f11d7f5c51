import { spawn } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "../../hack/control-plane/free-ports.ts";
import { type TestCluster, until } from "./cluster.ts";
import type { TestDatabase } from "./database.ts";

const MAIN = join(import.meta.dirname, "..", "src", "main.ts");

export interface ApiProcessOptions {
  readonly database: TestDatabase;
  readonly cluster: TestCluster;
  readonly environment: Readonly<Record<string, string>>;
  /** Comes to the process in a file, as the chart mounts it. */
  readonly smtpUrl?: string;
  readonly nodeFlags?: readonly string[];
}

/** The API as it is deployed: a process with an environment. It has been ready once. */
export async function startApiProcess(options: ApiProcessOptions) {
  const { database, cluster, environment, smtpUrl, nodeFlags = [] } = options;
  const directory = await mkdtemp(join(tmpdir(), "api-process-"));
  const [port = 0, metricsPort = 0] = await freePorts(2);
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const keyFile = join(directory, "jwt.pem");
  await writeFile(keyFile, privateKey.export({ type: "sec1", format: "pem" }));
  const serviceKey = randomBytes(32);
  const serviceKeyFile = join(directory, "service.key");
  await writeFile(serviceKeyFile, `${serviceKey.toString("base64")}\n`);
  const smtpUrlFile = join(directory, "smtp-url");
  if (smtpUrl !== undefined) await writeFile(smtpUrlFile, `${smtpUrl}\n`);
  const child = spawn(process.execPath, [...nodeFlags, MAIN], {
    env: {
      PORT: String(port),
      METRICS_PORT: String(metricsPort),
      HOST: "127.0.0.1",
      DATABASE_URL: database.apiUrl,
      AUTH_DATABASE_URL: database.authUrl,
      ADMIN_DATABASE_URL: database.adminUrl,
      WORKER_DATABASE_URL: database.workerUrl,
      VAULT_ADDR: "http://127.0.0.1:1",
      JWT_PRIVATE_KEY_FILE: keyFile,
      SERVICE_KEY_FILE: serviceKeyFile,
      KUBECONFIG: cluster.controlPlane.kubeconfigPath,
      ...(smtpUrl === undefined ? {} : { SMTP_URL_FILE: smtpUrlFile }),
      ...environment,
    },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  }
  const scheme = environment["TLS_CERT_FILE"] === undefined ? "http" : "https";
  const api = {
    child,
    port,
    url: `${scheme}://127.0.0.1:${port}`,
    metricsUrl: `http://127.0.0.1:${metricsPort}/metrics`,
    serviceKey,
    /** Of both streams, the bcrypt process' included. */
    output: (): string => output,
    stop: async (): Promise<void> => {
      if (child.exitCode === null && child.signalCode === null) {
        const exited = once(child, "exit");
        child.kill("SIGKILL");
        await exited;
      }
      await rm(directory, { recursive: true });
    },
  };
  await until(async () => {
    if (child.exitCode !== null || !output.includes("Server listening")) throw new Error(output);
  });
  return api;
}
export type ApiProcess = Awaited<ReturnType<typeof startApiProcess>>;
