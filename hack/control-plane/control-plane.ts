import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { get } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { toolPath } from "../tools/tools.ts";
import { issueCertificates, type Certificates } from "./certificates.ts";
import { freePorts } from "./free-ports.ts";
import { guardAgainstOurDeath } from "./guard.ts";

const READY_LIMIT_MS = 90_000; // 5 s on an idle machine; a test run beside a build is not idle
const READY_POLL_MS = 100;
const STOP_LIMIT_MS = 5_000;
/** A free port can be taken by somebody else before the server binds it. */
const START_ATTEMPTS = 3;
/** The issuer that kind configures. */
const ISSUER = "https://kubernetes.default.svc.cluster.local";

export interface ControlPlane {
  readonly url: string;
  /** A kubeconfig of system:masters with everything embedded. */
  readonly kubeconfigPath: string;
  readonly caPath: string;
  /** Plain HTTP on loopback: tests read the raw store here. */
  readonly etcdUrl: string;
  /** What tokens name as `iss`; its keys are served at `/openid/v1/jwks`. */
  readonly issuer: string;
  readonly serviceAccountPublicKeyPath: string;
  readonly pids: { readonly etcd: number; readonly apiserver: number };
  /** Certificates, logs (`etcd.log`, `kube-apiserver.log`) and etcd's data; gone after `stop`. */
  readonly directory: string;
  stop(): Promise<void>;
}

/**
 * Starts a real etcd and kube-apiserver (RBAC on) as processes on loopback, for tests that need the API and no kubelet.
 * No controller runs: nothing collects garbage, empties namespaces or makes default service accounts.
 */
export async function startControlPlane(): Promise<ControlPlane> {
  const binaries = { etcd: await toolPath("etcd"), apiserver: await toolPath("kube-apiserver") };
  const directory = await mkdtemp(join(tmpdir(), "control-plane-"));
  try {
    const certificates = await issueCertificates(directory);
    for (let attempt = 1; ; attempt++) {
      try {
        return await launch({ binaries, directory, certificates });
      } catch (error) {
        if (attempt === START_ATTEMPTS || !(error instanceof AddressInUse)) throw error;
      }
    }
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

interface Launch {
  readonly binaries: { readonly etcd: string; readonly apiserver: string };
  readonly directory: string;
  readonly certificates: Certificates;
}

async function launch({ binaries, directory, certificates }: Launch): Promise<ControlPlane> {
  const [etcdPort = 0, etcdPeerPort = 0, port = 0] = await freePorts(3);
  const etcdUrl = `http://127.0.0.1:${etcdPort}`;
  const url = `https://127.0.0.1:${port}`;
  const dataDirectory = join(directory, `etcd-${etcdPort}`);
  const etcd = startServer(
    binaries.etcd,
    etcdFlags(dataDirectory, etcdUrl, `http://127.0.0.1:${etcdPeerPort}`),
    join(directory, "etcd.log"),
  );
  const apiserver = startServer(
    binaries.apiserver,
    apiserverFlags(certificates, etcdUrl, port),
    join(directory, "kube-apiserver.log"),
  );
  const guard = guardAgainstOurDeath([apiserver.pid, etcd.pid], directory);
  const stopServers = async () => {
    await apiserver.stop(); // first, so that it does not complain about a lost store
    await etcd.stop();
    guard.kill("SIGKILL");
  };
  try {
    const ca = await readFile(certificates.ca);
    await Promise.race([isReady(`${url}/readyz`, ca), apiserver.failed, etcd.failed]);
  } catch (error) {
    await stopServers();
    throw error;
  }
  return {
    url,
    kubeconfigPath: await writeKubeconfig(directory, url, certificates),
    caPath: certificates.ca,
    etcdUrl,
    issuer: ISSUER,
    serviceAccountPublicKeyPath: certificates.serviceAccount.publicKey,
    pids: { etcd: etcd.pid ?? 0, apiserver: apiserver.pid ?? 0 },
    directory,
    stop: async () => {
      await stopServers();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function etcdFlags(dataDirectory: string, clientUrl: string, peerUrl: string): readonly string[] {
  return [
    `--data-dir=${dataDirectory}`,
    `--listen-client-urls=${clientUrl}`,
    `--advertise-client-urls=${clientUrl}`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=default=${peerUrl}`,
    "--unsafe-no-fsync", // the data is thrown away anyway
    // It keeps in memory what was written since the last snapshot, which of a large world's making would be gigabytes.
    "--snapshot-count=1000",
    "--snapshot-catchup-entries=100",
    "--quota-backend-bytes=8589934592", // a limit and no reservation: 100,000 bots with their pods are more than the default of 2 GB
  ];
}

function apiserverFlags(pki: Certificates, etcdUrl: string, port: number): readonly string[] {
  return [
    `--etcd-servers=${etcdUrl}`,
    "--bind-address=127.0.0.1",
    `--secure-port=${port}`,
    "--endpoint-reconciler-type=none", // loopback is no valid endpoint of the Service `kubernetes`
    "--service-cluster-ip-range=10.96.0.0/16",
    "--authorization-mode=Node,RBAC",
    "--allow-privileged=true",
    `--client-ca-file=${pki.ca}`,
    `--tls-cert-file=${pki.server.certificate}`,
    `--tls-private-key-file=${pki.server.key}`,
    `--service-account-issuer=${ISSUER}`,
    `--service-account-key-file=${pki.serviceAccount.publicKey}`,
    `--service-account-signing-key-file=${pki.serviceAccount.privateKey}`,
  ];
}

class AddressInUse extends Error {}

interface Server {
  readonly pid: number | undefined;
  /** Rejects when the process ends by itself. */
  readonly failed: Promise<never>;
  stop(): Promise<void>;
}

function startServer(binary: string, flags: readonly string[], logPath: string): Server {
  const log = openSync(logPath, "a");
  const child = spawn(binary, flags, { stdio: ["ignore", log, log] });
  closeSync(log);
  let stopping = false;
  const ended = once(child, "exit");
  const failed = ended.then(async () => {
    if (stopping) return new Promise<never>(() => {});
    const text = await readFile(logPath, "utf8");
    const lastLines = text.trimEnd().split("\n").slice(-5).join("\n");
    const error = text.includes("address already in use") ? AddressInUse : Error;
    throw new error(`${binary} ended by itself; its last lines:\n${lastLines}`);
  });
  failed.catch(() => {}); // a server that dies during the tests shows in their requests
  return {
    pid: child.pid,
    failed,
    stop: async () => {
      stopping = true;
      child.kill("SIGTERM");
      const impatience = setTimeout(() => child.kill("SIGKILL"), STOP_LIMIT_MS);
      await ended;
      clearTimeout(impatience);
    },
  };
}

async function isReady(readyUrl: string, ca: Buffer): Promise<void> {
  const deadline = Date.now() + READY_LIMIT_MS;
  while (!(await answersOk(readyUrl, ca))) {
    if (Date.now() > deadline) throw new Error(`${readyUrl} is not ok after ${READY_LIMIT_MS} ms`);
    await sleep(READY_POLL_MS);
  }
}

function answersOk(url: string, ca: Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get(url, { ca, agent: false, timeout: 2_000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on("error", () => resolve(false));
    request.on("timeout", () => request.destroy());
  });
}

async function writeKubeconfig(directory: string, url: string, pki: Certificates): Promise<string> {
  const [ca, certificate, key] = await Promise.all(
    [pki.ca, pki.admin.certificate, pki.admin.key].map((path) => readFile(path, "base64")),
  );
  const cluster = { server: url, "certificate-authority-data": ca };
  const user = { "client-certificate-data": certificate, "client-key-data": key };
  const kubeconfig = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "control-plane", cluster }],
    users: [{ name: "admin", user }],
    contexts: [{ name: "admin", context: { cluster: "control-plane", user: "admin" } }],
    "current-context": "admin",
  };
  const path = join(directory, "kubeconfig");
  await writeFile(path, JSON.stringify(kubeconfig, null, 2), { mode: 0o600 }); // JSON is YAML
  return path;
}
