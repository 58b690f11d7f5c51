import {
  chmod,
  cp,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { z } from "zod";
import type { Docker } from "../cluster/docker.ts";
import { writeImageArchive } from "../images/image-archive.ts";
import { cacheDirectory, contentHash, withLock } from "../tools/cache.ts";
import { toolPath, toolVersion, type ToolName } from "../tools/tools.ts";

type Report = (line: string) => void;

/** Debian 12 whatever the machine runs: its containerd 1.6 and systemd are what these steps were tried with. */
const SUITE = "bookworm";
/** What kind's own base image installs, and containerd, runc and CNI plugins, which kind compiles. */
const NODE_PACKAGES = `
  bash ca-certificates conntrack containerd containernetworking-plugins curl dbus e2fsprogs ethtool findutils hostname
  iproute2 iptables jq kmod libseccomp2 mount nftables procps runc socat systemd systemd-sysv util-linux`
  .trim()
  .split(/\s+/);
const NODE_TOOLS = ["kubeadm", "kubelet", "kubectl"] as const;
/** What runs in the node as containers, by the name in `kubeadm config images list`, with the path in its image. */
const IMAGE_TOOLS = {
  "kube-apiserver": "/usr/local/bin/kube-apiserver",
  "kube-controller-manager": "/usr/local/bin/kube-controller-manager",
  "kube-scheduler": "/usr/local/bin/kube-scheduler",
  "kube-proxy": "/usr/local/bin/kube-proxy",
  etcd: "/usr/local/bin/etcd",
  coredns: "/coredns",
} as const satisfies Partial<Record<ToolName, string>>;

/**
 * Makes kind's node image known to the engine where the published one cannot be pulled: from Debian packages, kind's own
 * base files and Kubernetes compiled from pinned sources. Kept as a tar in the cache, so the next cluster starts at once.
 * It serves one node; its bridge network does not enforce NetworkPolicies.
 */
export async function ensureNodeImage(docker: Docker, report: Report): Promise<string> {
  const recipe = await readRecipe(report);
  if (await docker.hasImage(recipe.reference)) return recipe.reference;
  const directory = join(cacheDirectory, "node-image");
  const archive = join(directory, `${recipe.hash}.tar`);
  await withLock(join(directory, "lock"), async () => {
    if (!existsSync(archive)) await buildArchive(recipe, archive, report);
  });
  report("loading the node image into the engine");
  await docker.run(["load", "--quiet", "--input", archive]);
  return recipe.reference;
}

interface Recipe {
  readonly hash: string;
  readonly reference: string;
  readonly kubernetesVersion: string;
  readonly kindFiles: string;
  readonly binaries: ReadonlyMap<ToolName, string>;
}

async function readRecipe(report: Report): Promise<Recipe> {
  const binaries = new Map<ToolName, string>();
  for (const name of [...NODE_TOOLS, ...Object.keys(IMAGE_TOOLS).filter(isImageTool)]) {
    binaries.set(name, await toolPath(name, report));
  }
  const sources = (await readdir(import.meta.dirname)).filter((name) => !name.includes(".test."));
  const texts = await Promise.all(
    sources.toSorted().map((name) => readFile(join(import.meta.dirname, name), "utf8")),
  );
  const kindVersion = await toolVersion("kind");
  // A tool's path holds the hash of what pins it, so the paths stand for the binaries.
  const hash = contentHash(...texts, kindVersion, ...binaries.values());
  return {
    hash,
    reference: `kindest/node:tradingbots-${hash}`,
    kubernetesVersion: await toolVersion("kubelet"),
    kindFiles: await kindBaseFiles(kindVersion),
    binaries,
  };
}

function isImageTool(name: string): name is keyof typeof IMAGE_TOOLS {
  return Object.hasOwn(IMAGE_TOOLS, name);
}

async function kindBaseFiles(version: string): Promise<string> {
  const args = ["mod", "download", "-json", `sigs.k8s.io/kind@${version}`];
  const { stdout } = await execa("go", args, { cwd: "/" });
  const { Dir } = z.object({ Dir: z.string() }).parse(JSON.parse(stdout));
  return join(Dir, "images", "base", "files");
}

async function buildArchive(recipe: Recipe, archive: string, report: Report): Promise<void> {
  const work = `${archive}.work`;
  await removeWork(work);
  const root = join(work, "root");
  await mkdir(root, { recursive: true });
  report("fetching Debian packages for the node");
  const packages = await debianPackages("minbase", NODE_PACKAGES);
  await execa("tar", ["-xf", packages, "-C", root, "--exclude=./dev/*"]);
  report("assembling the node's file system");
  await addKindFiles(root, recipe);
  await adaptToSmallMachines(root);
  await addContainerNetwork(root);
  report("packing the control plane's images");
  await addControlPlaneImages(root, recipe);
  report("packing the node image");
  await writeImageArchive({
    reference: recipe.reference,
    root,
    target: archive,
    config: { Env: ["container=docker"], Entrypoint: ["/usr/local/bin/entrypoint", "/sbin/init"] },
    keepOwners: true,
  });
  await removeWork(work);
}

/** `ctr` in a chroot mounts nothing, but a removal as root deserves the question. */
async function removeWork(work: string): Promise<void> {
  const mounts = await readFile("/proc/self/mounts", "utf8");
  if (mounts.includes(` ${work}/`))
    throw new Error(`something is mounted below ${work}: unmount it`);
  await rm(work, { recursive: true, force: true });
}

/** A tar of Debian packages with all they depend on, kept in the cache under a hash of the list. */
async function debianPackages(variant: string, packages: readonly string[]): Promise<string> {
  const name = `debian-${contentHash(SUITE, variant, ...packages)}.tar`;
  const target = join(cacheDirectory, "node-image", name);
  if (existsSync(target)) return target;
  const partial = join(dirname(target), `partial-${name}`); // mmdebstrap chooses the format by the ending
  const include = `--include=${packages.join(",")}`;
  await execa("mmdebstrap", ["--quiet", `--variant=${variant}`, include, SUITE, partial]);
  await rename(partial, target);
  return target;
}

/** What kind's own base image adds to Debian: its Dockerfile, step by step. */
async function addKindFiles(root: string, { kindFiles, binaries, kubernetesVersion }: Recipe) {
  const at = (path: string) => join(root, path);
  for (const part of ["etc", "kind", "usr"]) {
    await execa("cp", ["-r", "--no-preserve=mode,ownership", join(kindFiles, part), root]);
  }
  await makeExecutable(at("usr/local/bin"));
  await makeExecutable(at("kind/bin"));
  const systemUnits = at("lib/systemd/system");
  await emptyDirectory(join(systemUnits, "multi-user.target.wants"));
  await emptyDirectory(join(systemUnits, "local-fs.target.wants"));
  await emptyDirectory(join(systemUnits, "basic.target.wants"));
  await emptyDirectory(join(systemUnits, "sockets.target.wants"), /udev|initctl/);
  await emptyDirectory(
    join(systemUnits, "sysinit.target.wants"),
    /^systemd-tmpfiles-setup\.service$/,
  );
  const units = at("etc/systemd/system");
  for (const name of await readdir(units)) {
    if (name.endsWith(".wants")) await emptyDirectory(join(units, name));
  }
  await writeFile(at("etc/systemd/journald.conf"), "[Journal]\nReadKMsg=no\n");
  await mkdir(join(units, "multi-user.target.wants"), { recursive: true });
  for (const name of ["kubelet.service", "containerd.service", "undo-mount-hacks.service"]) {
    await link(`/etc/systemd/system/${name}`, join(units, "multi-user.target.wants", name));
  }
  await link("/dev/null", join(units, "systemd-binfmt.service"));
  await mkdir(at("etc/kubernetes/manifests"), { recursive: true });
  await mkdir(at("usr/local/sbin"), { recursive: true });
  for (const name of ["containerd", "ctr", "containerd-shim-runc-v2"]) {
    await link(`/usr/bin/${name}`, at(`usr/local/bin/${name}`));
  }
  await link("/usr/sbin/runc", at("usr/local/sbin/runc"));
  for (const name of NODE_TOOLS) await copyTool(binaries, name, at(`usr/bin/${name}`));
  await writeFile(at("kind/version"), `${kubernetesVersion}\n`);
  const { stdout } = await execa("chroot", [root, "ctr", "oci", "spec"]);
  await writeFile(at("etc/containerd/cri-base.json"), containerSpec(stdout));
}

const ContainerSpec = z.looseObject({ process: z.looseObject({}) });

/** kind's hook that hides the machine's product id, and no resource limits: raising them needs CAP_SYS_RESOURCE. */
export function containerSpec(defaultSpec: string): string {
  const spec = ContainerSpec.parse(JSON.parse(defaultSpec));
  const { rlimits: _unraised, ...process } = spec.process;
  const hooks = { createContainer: [{ path: "/kind/bin/mount-product-files.sh" }] };
  return JSON.stringify({ ...spec, process, hooks });
}

/** A machine without CAP_SYS_RESOURCE cannot raise limits or lower out-of-memory scores; others do not need to here. */
async function adaptToSmallMachines(root: string): Promise<void> {
  await edit(join(root, "etc/systemd/system/containerd.service"), [
    [/^(OOMScoreAdjust|Limit\w+|TasksMax)=.*\n/gm, ""],
    [
      /^ExecStart=\/usr\/local\/bin\/containerd$/m,
      "$&\nExecStartPost=/kind/bin/import-images.sh\nTimeoutStartSec=300",
    ],
  ]);
  await edit(join(root, "etc/containerd/config.toml"), [
    [/restrict_oom_score_adj = false/, "restrict_oom_score_adj = true"],
  ]);
}

/** kindnet exists only as a published image: a plain bridge serves one node. */
async function addContainerNetwork(root: string): Promise<void> {
  await mkdir(join(root, "opt/cni/bin"), { recursive: true });
  await mkdir(join(root, "etc/cni/net.d"), { recursive: true });
  await cp(join(root, "usr/lib/cni"), join(root, "opt/cni/bin"), { recursive: true });
  await cp(
    join(import.meta.dirname, "bridge.conflist"),
    join(root, "etc/cni/net.d/10-bridge.conflist"),
  );
}

/** Puts the images that kubeadm will ask for into the node, where containerd imports them at its start. */
async function addControlPlaneImages(root: string, recipe: Recipe): Promise<void> {
  const images = join(root, "kind/images");
  await mkdir(images, { recursive: true });
  const script = join(root, "kind/bin/import-images.sh");
  await cp(join(import.meta.dirname, "import-images.sh"), script);
  await chmod(script, 0o755);
  for (const reference of await neededImages(root, recipe)) {
    const name = imageName(reference);
    const target = join(images, `${reference.replaceAll(/[/:]/g, "_")}.tar`);
    const imageRoot = `${target}.root`;
    await mkdir(imageRoot);
    const path = name === "pause" ? "/pause" : isImageTool(name) ? IMAGE_TOOLS[name] : undefined;
    if (path === undefined) throw new Error(`kubeadm wants ${reference}, which nothing here makes`);
    await mkdir(dirname(join(imageRoot, path)), { recursive: true });
    if (isImageTool(name)) await copyTool(recipe.binaries, name, join(imageRoot, path));
    else await compilePause(join(imageRoot, path));
    if (name === "kube-proxy") await addIptables(imageRoot);
    // Static pods name their command; CoreDNS and pause rely on the image's.
    const config = { Env: ["PATH=/usr/local/bin:/usr/sbin"], Entrypoint: [path] };
    await writeImageArchive({ reference, root: imageRoot, target, config });
    await rm(imageRoot, { recursive: true });
  }
}

/** What kubeadm names, and the pause image that containerd's configuration names besides. */
async function neededImages(root: string, recipe: Recipe): Promise<readonly string[]> {
  const version = `--kubernetes-version=${recipe.kubernetesVersion}`;
  const kubeadm = recipe.binaries.get("kubeadm") ?? "kubeadm";
  const { stdout } = await execa(kubeadm, ["config", "images", "list", version]);
  const containerd = await readFile(join(root, "etc/containerd/config.toml"), "utf8");
  const sandbox = /sandbox_image = "(.+)"/.exec(containerd)?.[1];
  if (sandbox === undefined) throw new Error("containerd's configuration names no sandbox_image");
  return [...new Set([...stdout.trim().split("\n"), sandbox])];
}

/** `images.example.org/coredns/coredns:v1.14.2` → `coredns` */
export function imageName(reference: string): string {
  return reference.slice(reference.lastIndexOf("/") + 1).replace(/:.*$/, "");
}

async function compilePause(target: string): Promise<void> {
  const source = join(import.meta.dirname, "pause.go");
  const args = ["build", "-ldflags=-s -w", "-o", target, source];
  await execa("go", args, { cwd: "/", env: { CGO_ENABLED: "0" } });
}

/** kube-proxy calls iptables: Debian's, unpacked without its scripts, which would choose the variant. */
async function addIptables(imageRoot: string): Promise<void> {
  const packages = await debianPackages("extract", ["iptables"]);
  await execa("tar", ["-xf", packages, "-C", imageRoot, "--exclude=./dev/*"]);
  for (const family of ["iptables", "ip6tables"]) {
    for (const command of [family, `${family}-save`, `${family}-restore`]) {
      await link("xtables-nft-multi", join(imageRoot, "usr/sbin", command));
    }
  }
}

async function copyTool(binaries: Recipe["binaries"], name: ToolName, target: string) {
  const binary = binaries.get(name);
  if (binary === undefined) throw new Error(`${name} was not built`);
  await cp(binary, target);
  await chmod(target, 0o755);
}

async function makeExecutable(directory: string): Promise<void> {
  await chmod(directory, 0o755);
  for (const name of await readdir(directory)) await chmod(join(directory, name), 0o755);
}

async function emptyDirectory(directory: string, names = /./): Promise<void> {
  const entries = await readdir(directory).catch(() => []);
  for (const name of entries.filter((entry) => names.test(entry))) {
    await rm(join(directory, name), { recursive: true });
  }
}

async function link(target: string, path: string): Promise<void> {
  await rm(path, { force: true });
  await symlink(target, path);
}

/** Replaces what must be there: a newer kind whose files differ is noticed here and not in a node that does not start. */
async function edit(path: string, replacements: readonly (readonly [RegExp, string])[]) {
  let text = await readFile(path, "utf8");
  for (const [pattern, replacement] of replacements) {
    const edited = text.replace(pattern, replacement);
    if (edited === text) throw new Error(`${path} holds nothing that matches ${pattern}`);
    text = edited;
  }
  await writeFile(path, text);
}
