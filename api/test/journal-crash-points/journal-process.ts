import { API_VERSION } from "@tradingbots/crds";
import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportJWK, SignJWT } from "jose";
import { freePorts } from "../../../hack/control-plane/free-ports.ts";
import { until } from "../cluster.ts";

const MAIN = join(import.meta.dirname, "..", "..", "src", "journal", "main.ts");
const ISSUER = "https://kubernetes.default.svc.cluster.local";
/** More than batches are held at once. */
const CONNECTIONS = 64;

/** Where a bot's pod stands, as the cluster signs it into its token. */
interface PodName {
  readonly bot: string;
  readonly namespace: string;
  readonly account: string;
}

/** The first word of a watch: so far there is none. */
const NO_HALTS = {
  type: "BOOKMARK",
  object: {
    apiVersion: API_VERSION,
    kind: "TradingHalt",
    metadata: { resourceVersion: "1", annotations: { "k8s.io/initial-events-end": "true" } },
  },
};

/** The part of an API server that the journal needs: its keys, and halts, of which there are none. Signs tokens as the kubelet's would be. */
async function startIssuer(directory: string) {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: "one", alg: "ES256" }] };
  const server = createServer((request, response) => {
    response.setHeader("content-type", "application/json");
    if (request.url?.includes("/tradinghalts?") === true) {
      response.write(`${JSON.stringify(NO_HALTS)}\n`); // and nothing more, for as long as it is watched
      return;
    }
    response.end(
      JSON.stringify(request.url === "/openid/v1/jwks" ? jwks : { issuer: ISSUER, jwks_uri: "" }),
    );
  });
  const [port = 0] = await freePorts(1);
  await once(server.listen(port, "127.0.0.1"), "listening");
  const kubeconfig = join(directory, "kubeconfig");
  const named = { name: "it", context: { cluster: "it", user: "it" } };
  await writeFile(
    kubeconfig,
    JSON.stringify({
      clusters: [{ name: "it", cluster: { server: `http://127.0.0.1:${port}` } }],
      users: [{ name: "it", user: { token: "x" } }],
      contexts: [named],
      "current-context": "it",
    }),
  );
  return {
    kubeconfig,
    tokenOf: async ({ bot, namespace, account }: PodName): Promise<string> =>
      new SignJWT({
        "kubernetes.io": {
          namespace,
          serviceaccount: { name: account },
          pod: { name: bot, uid: `pod-of-${bot}` },
        },
      })
        .setProtectedHeader({ alg: "ES256", kid: "one" })
        .setIssuer(ISSUER)
        .setAudience("journal")
        .setSubject(`system:serviceaccount:${namespace}:${account}`)
        .setIssuedAt()
        .setExpirationTime("1h")
        .sign(privateKey),
    stop: async () => {
      server.closeAllConnections();
      await once(server.close(), "close");
    },
  };
}

/** The journal as it is deployed, one process on one port, which can be killed and started again. */
export async function startJournalProcess(databaseUrl: string) {
  const directory = await mkdtemp(join(tmpdir(), "journal-process-"));
  const issuer = await startIssuer(directory);
  const [port = 0] = await freePorts(1);
  const url = `http://127.0.0.1:${port}`;

  async function start(): Promise<ChildProcess> {
    const child = spawn(process.execPath, [MAIN], {
      env: {
        PORT: String(port),
        HOST: "127.0.0.1",
        DATABASE_URL: databaseUrl,
        DATABASE_CONNECTIONS: String(CONNECTIONS),
        KUBECONFIG: issuer.kubeconfig,
        LOG_LEVEL: "error",
      },
      stdio: ["ignore", "ignore", "inherit"],
    });
    const isReady = until(async () => {
      if (!(await fetch(`${url}/readyz`)).ok) throw new Error("the journal is not ready");
    });
    await isReady.catch((error: unknown) => {
      child.kill("SIGKILL"); // nobody else knows of it
      throw error;
    });
    return child;
  }

  let child = await start();

  async function kill(): Promise<void> {
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }

  return {
    port,
    tokenOf: issuer.tokenOf,
    kill,
    startAgain: async () => {
      child = await start();
    },
    stop: async () => {
      await kill();
      await issuer.stop();
      await rm(directory, { recursive: true });
    },
  };
}
export type JournalProcess = Awaited<ReturnType<typeof startJournalProcess>>;
