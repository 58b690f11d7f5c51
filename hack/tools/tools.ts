import { mkdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { execa, ExecaError } from "execa";
import { cacheDirectory, contentHash, withLock } from "./cache.ts";

interface GoTool {
  /** The folder beside this file whose go.mod and go.sum pin the tool. */
  readonly module: string;
  readonly package: string;
  readonly tags?: string;
  readonly linkerFlags?: readonly string[];
}

const kubernetes = (command: string): GoTool => ({
  module: "kubernetes",
  package: `k8s.io/kubernetes/cmd/${command}`,
  // A module build knows no git tag; without a version the API server reports v0.0.0 and clients refuse it.
  linkerFlags: [
    "-X k8s.io/component-base/version.gitVersion=$VERSION",
    "-X k8s.io/client-go/pkg/version.gitVersion=$VERSION",
  ],
});

const goTools = {
  etcd: { module: "etcd", package: "go.etcd.io/etcd/server/v3" },
  "kube-apiserver": kubernetes("kube-apiserver"),
  "kube-controller-manager": kubernetes("kube-controller-manager"),
  "kube-scheduler": kubernetes("kube-scheduler"),
  "kube-proxy": kubernetes("kube-proxy"),
  kubelet: kubernetes("kubelet"),
  kubeadm: kubernetes("kubeadm"),
  kubectl: kubernetes("kubectl"),
  coredns: { module: "coredns", package: "github.com/coredns/coredns" },
  kind: { module: "kind", package: "sigs.k8s.io/kind" },
  helm: { module: "helm", package: "helm.sh/helm/v4/cmd/helm" },
  kubeconform: {
    module: "kubeconform",
    package: "github.com/yannh/kubeconform/cmd/kubeconform",
  },
  // `minimal` keeps KV, JWT and the agent and leaves out the cloud plugins: a third of the size and build time.
  vault: { module: "vault", package: "github.com/hashicorp/vault", tags: "minimal" },
} as const satisfies Record<string, GoTool>;

export type ToolName = keyof typeof goTools;
export const toolNames = Object.keys(goTools).filter(isToolName);

export function isToolName(name: string): name is ToolName {
  return Object.hasOwn(goTools, name);
}

/** What the envtest convention provides ready-made in $KUBEBUILDER_ASSETS. */
const ASSETS: readonly ToolName[] = ["etcd", "kube-apiserver", "kubectl"];

/**
 * The absolute path of a pinned tool, compiled first when this machine has not done so yet (seconds to minutes).
 * The binary is static, so it runs in any Linux image and does not depend on the C library of the machine that built it;
 * `platform` asks for one that runs elsewhere than here.
 */
export async function toolPath(
  name: ToolName,
  report?: (line: string) => void,
  platform: NodeJS.Platform = process.platform,
): Promise<string> {
  const asset = join(process.env["KUBEBUILDER_ASSETS"] ?? "", name);
  if (process.env["KUBEBUILDER_ASSETS"] && ASSETS.includes(name) && (await exists(asset))) {
    return asset;
  }
  const build = await planBuild(goTools[name], platform);
  const directory = join(cacheDirectory, "tools", `${name}-${build.hash}`);
  const binary = join(directory, name);
  if (await exists(binary)) return binary;
  return withLock(`${directory}.lock`, async () => {
    if (await exists(binary)) return binary;
    report?.(`compiling ${name} ${build.version}`);
    await compile(name, build, `${binary}.partial`);
    await rename(`${binary}.partial`, binary);
    return binary;
  });

  async function compile(tool: ToolName, { args, cwd, version }: Build, target: string) {
    await mkdir(directory, { recursive: true });
    await requireGo(tool);
    try {
      await execa("go", ["build", "-o", target, ...args], {
        cwd,
        env: { CGO_ENABLED: "0", GOOS: platform },
      });
    } catch (error) {
      await rm(target, { force: true });
      throw new Error(`while compiling ${tool} ${version} in ${cwd}`, { cause: error });
    }
  }
}

/** The version of a tool as its go.mod pins it, such as `v1.36.3`. */
export async function toolVersion(name: ToolName): Promise<string> {
  return (await planBuild(goTools[name])).version;
}

interface Build {
  readonly cwd: string;
  readonly version: string;
  readonly args: readonly string[];
  readonly hash: string;
}

async function planBuild(tool: GoTool, platform = process.platform): Promise<Build> {
  const cwd = join(import.meta.dirname, tool.module);
  const goMod = await readFile(join(cwd, "go.mod"), "utf8");
  const goSum = await readFile(join(cwd, "go.sum"), "utf8");
  const version = pinnedVersion(goMod, tool.package);
  const linkerFlags = ["-s -w", ...(tool.linkerFlags ?? [])]
    .join(" ")
    .replaceAll("$VERSION", version);
  const args = [
    "-mod=readonly",
    "-buildvcs=false",
    `-ldflags=${linkerFlags}`,
    ...(tool.tags === undefined ? [] : [`-tags=${tool.tags}`]),
    tool.package,
  ];
  return {
    cwd,
    version,
    args,
    hash: contentHash(goMod, goSum, `${platform}-${process.arch}`, ...args),
  };
}

/** The version of the module that holds a package: the longest module path in go.mod that is a prefix of it. */
export function pinnedVersion(goMod: string, packagePath: string): string {
  let best = { path: "", version: "" };
  for (const match of goMod.matchAll(/^(?:require)?\s+(\S+) (v\S+)(?: \/\/ indirect)?$/gm)) {
    const [, path = "", version = ""] = match;
    const holds = packagePath === path || packagePath.startsWith(`${path}/`);
    if (holds && path.length > best.path.length) best = { path, version };
  }
  if (best.version === "") throw new Error(`go.mod pins no module that holds ${packagePath}`);
  return best.version;
}

/** Since 1.21 Go fetches the toolchain that a go.mod asks for; an older one only prints a puzzling parse error. */
async function requireGo(tool: ToolName): Promise<void> {
  const wanted = `Go 1.21 or newer is needed to compile ${tool} (pinned in hack/tools/${goTools[tool].module})`;
  try {
    const { stdout } = await execa("go", ["env", "GOVERSION"], { cwd: "/" });
    const minor = Number(/^go1\.(\d+)/.exec(stdout)?.[1] ?? Number.NaN);
    if (minor < 21)
      throw new Error(`${wanted}; this machine has ${stdout}: see https://go.dev/dl/`);
  } catch (error) {
    if (error instanceof ExecaError && error.code === "ENOENT") {
      throw new Error(`${wanted}, and there is no go on PATH: see https://go.dev/dl/`, {
        cause: error,
      });
    }
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
