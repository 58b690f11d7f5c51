import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { stringify } from "yaml";
import { z } from "zod";
import { freePorts } from "../control-plane/free-ports.ts";
import { ensureNodeImage } from "../node-image/node-image.ts";
import { toolPath } from "../tools/tools.ts";
import { createDocker, type Docker } from "./docker.ts";
import { findProcess } from "./find-process.ts";
import type { Engine } from "./engine.ts";
import { kindConfig, nodePorts } from "./kind-config.ts";

type Report = (line: string) => void;

const checkout = join(import.meta.dirname, "..", "..");
export const defaultKubeconfig = join(checkout, ".build", "kubeconfig");

function recordPath(name: string): string {
  return join(checkout, ".build", `cluster-${name}.json`);
}

/** The default of kind 0.33, which hack/tools pins; used where it can be pulled. */
const PUBLISHED_NODE_IMAGE =
  "kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5";
const REGISTRY_LIMIT_MS = 15_000;
const PULL_LIMIT_MS = 15 * 60_000;
/** A node on two busy cores has taken 60 s. */
const READY_LIMIT_S = 180;
/** The control plane of a node that was just started again. */
export const RESTART_LIMIT_MS = 60_000;
/** Says in the cluster itself that `up` came to its end, whoever asks and from whichever checkout. */
const COMPLETE_LABEL = "tradingbots.dev/cluster=complete";

/** What others need to know of a running cluster; kept in `.build/cluster-<name>.json`. */
export const ClusterRecord = z.object({
  name: z.string(),
  kubeconfig: z.string(),
  /** Loopback ports of the host that lead to the NodePorts. */
  ports: z.object({ api: z.int(), vault: z.int(), simulator: z.int() }),
  /** As in DOCKER_HOST; null when the docker command finds its engine by itself. */
  dockerHost: z.string().nullable(),
});
export type ClusterRecord = z.infer<typeof ClusterRecord>;

export interface ClusterOptions {
  readonly name: string;
  readonly kubeconfig: string;
}

/** The cluster of that name that the last `up` of this checkout left, or undefined. */
export async function readClusterRecord(name: string): Promise<ClusterRecord | undefined> {
  const text = await readFile(recordPath(name), "utf8").catch(() => undefined);
  return text === undefined ? undefined : ClusterRecord.parse(JSON.parse(text));
}

export async function clusterExists(docker: Docker, name: string): Promise<boolean> {
  const clusters = await kind(docker, ["get", "clusters"]);
  return clusters.split("\n").includes(name);
}

/** Starts the node of a cluster that the engine stopped, as after a reboot. */
export async function startNode(docker: Docker, name: string): Promise<void> {
  if (await clusterExists(docker, name)) await docker.run(["start", nodeName(name)]);
}

/** Whether the cluster came up completely once and its API answers now, or within the limit. */
export async function isHealthy(docker: Docker, name: string, limitMs = 0): Promise<boolean> {
  if (!(await clusterExists(docker, name))) return false;
  const kubectl = ["exec", nodeName(name), "kubectl", "--kubeconfig=/etc/kubernetes/admin.conf"];
  const completeNodes = ["get", "nodes", "-l", COMPLETE_LABEL, "-o", "name"];
  const deadline = Date.now() + limitMs;
  for (;;) {
    const answer = await docker
      .run([...kubectl, "--request-timeout=5s", ...completeNodes])
      .catch(() => undefined);
    if (answer !== undefined) return answer.trim() !== "";
    if (Date.now() >= deadline) return false;
    await sleep(1_000);
  }
}

/** Pulls the published node image where that is possible, makes one otherwise. */
export async function nodeImage(docker: Docker, report: Report) {
  const published = { image: PUBLISHED_NODE_IMAGE, bringsNetwork: false };
  if (await docker.hasImage(PUBLISHED_NODE_IMAGE)) return published;
  report("asking the registry for the published node image");
  if (await docker.succeeds(["manifest", "inspect", PUBLISHED_NODE_IMAGE], REGISTRY_LIMIT_MS)) {
    report("pulling the published node image");
    const pull = ["pull", "--quiet", PUBLISHED_NODE_IMAGE];
    if (await docker.succeeds(pull, PULL_LIMIT_MS)) return published;
  }
  return { image: await ensureNodeImage(docker, report), bringsNetwork: true };
}

interface Creation {
  readonly engine: Engine;
  readonly options: ClusterOptions;
  readonly node: { readonly image: string; readonly bringsNetwork: boolean };
  readonly report: Report;
}

/** Creates the cluster anew; what a half-finished run left under the name is removed. */
export async function createCluster({ engine, options, node, report }: Creation): Promise<void> {
  const { docker } = engine;
  const create = ["create", "cluster", `--name=${options.name}`, "--config=-"];
  await endOrphan(create);
  if (await clusterExists(docker, options.name)) {
    report("removing what an earlier run left unfinished");
    await deleteCluster(docker, options);
  }
  report("creating the cluster");
  const [api = 0, vault = 0, simulator = 0] = await freePorts(3);
  const config = kindConfig({
    ...node,
    hostPorts: { api, vault, simulator },
    cgroupVersion: await docker.run(["info", "--format", "{{.CgroupVersion}}"]),
    isConfined: engine.isConfined,
  });
  await mkdir(dirname(options.kubeconfig), { recursive: true });
  const wait = `--wait=${READY_LIMIT_S}s`;
  const kubeconfig = `--kubeconfig=${options.kubeconfig}`;
  await kind(docker, [...create, wait, kubeconfig], stringify(config));
  const labelNode = ["label", "node", nodeName(options.name), COMPLETE_LABEL];
  await execa(await toolPath("kubectl"), [kubeconfig, ...labelNode]);
}

/** A kind that lost its `up` would, on failing, remove the new cluster of the same name: it is not given the time. */
async function endOrphan(create: readonly string[]): Promise<void> {
  const binary = await toolPath("kind");
  const pid = await findProcess(
    (argv) => argv[0] === binary && create.every((word, index) => argv[index + 1] === word),
  );
  if (pid !== undefined) process.kill(pid, "SIGKILL");
}

/** Writes the kubeconfig and the cluster's record from what runs, so a lost or foreign file is made good. */
export async function recordCluster(docker: Docker, options: ClusterOptions) {
  const names = [`--name=${options.name}`, `--kubeconfig=${options.kubeconfig}`];
  await mkdir(dirname(options.kubeconfig), { recursive: true });
  await kind(docker, ["export", "kubeconfig", ...names]);
  const record: ClusterRecord = {
    ...options,
    ports: {
      api: await hostPort(docker, options.name, nodePorts.api),
      vault: await hostPort(docker, options.name, nodePorts.vault),
      simulator: await hostPort(docker, options.name, nodePorts.simulator),
    },
    dockerHost: docker.host ?? null,
  };
  const path = recordPath(options.name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${JSON.stringify(record, null, 2)}\n`);
  return record;
}

async function hostPort(docker: Docker, name: string, nodePort: number): Promise<number> {
  const address = await docker.run(["port", nodeName(name), `${nodePort}/tcp`]);
  return Number(/:(\d+)$/.exec(address.trim())?.[1]);
}

/** Removes the cluster with its kubeconfig and record, and kind's network when no other cluster uses it. */
export async function deleteCluster(docker: Docker, options: ClusterOptions): Promise<void> {
  const names = [`--name=${options.name}`, `--kubeconfig=${options.kubeconfig}`];
  await kind(docker, ["delete", "cluster", ...names]);
  await rm(recordPath(options.name), { force: true });
  await rm(options.kubeconfig, { force: true });
}

/** Docker refuses to remove a network that is in use, which is what is wanted. */
export async function removeNetwork(docker: Docker): Promise<void> {
  await docker.succeeds(["network", "rm", "kind"], 10_000);
}

export async function otherClusters(docker: Docker, name: string): Promise<readonly string[]> {
  const names = (await kind(docker, ["get", "clusters"])).split("\n");
  return names.filter((other) => other !== "" && other !== name);
}

/** Copies images of the engine into the cluster's node and answers which it lacked. */
export async function loadImages(
  record: ClusterRecord,
  references: readonly string[],
): Promise<readonly string[]> {
  const docker = createDocker(record.dockerHost ?? undefined);
  const list = ["ctr", "--namespace=k8s.io", "images", "ls", "--quiet"];
  const present = (await docker.run(["exec", nodeName(record.name), ...list])).split("\n");
  const missing = references.filter((reference) => !present.includes(`docker.io/${reference}`));
  if (missing.length > 0) {
    // Together, so that the layers they share travel once.
    await kind(docker, ["load", "docker-image", ...missing, `--name=${record.name}`]);
  }
  return missing;
}

/**
 * The raw files of the cluster's etcd as one tar: snapshot, database and write-ahead log, as they lie on the disk of the
 * node. A secret that the API ever stored is in here in plain bytes.
 */
export async function readEtcdStore(record: ClusterRecord): Promise<Uint8Array> {
  const docker = createDocker(record.dockerHost ?? undefined);
  // 1 is tar's way of saying that a file changed while it was read: etcd goes on working.
  const script = "tar --create --directory=/var/lib/etcd . || [ $? -eq 1 ]";
  return docker.read(["exec", nodeName(record.name), "sh", "-c", script]);
}

function nodeName(cluster: string): string {
  return `${cluster}-control-plane`;
}

async function kind(docker: Docker, args: readonly string[], input = ""): Promise<string> {
  const { stdout } = await execa(await toolPath("kind"), args, { env: docker.env, input });
  return stdout;
}
