import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { toolPath } from "../../hack/tools/tools.ts";
import { NAMESPACE, type Platform } from "./platform.ts";

type Cluster = Pick<Platform, "kubeconfigPath">;

/** kubectl in the bots' namespace; what it prints. @throws Error with what it said when it fails */
export async function kubectl(
  { kubeconfigPath }: Cluster,
  ...args: readonly string[]
): Promise<string> {
  const where = ["--kubeconfig", kubeconfigPath, "--namespace", NAMESPACE];
  const { stdout } = await promisify(execFile)(await toolPath("kubectl"), [...where, ...args]);
  return stdout;
}

export interface WaitedFor {
  /** `tradingbot/NAME` */
  readonly object: string;
  /** `Ready`, `Progressing=false` */
  readonly condition: string;
  readonly timeout: string;
}

/** `kubectl wait`, as an SRE waits. @throws Error with what kubectl said when the time is over */
export async function kubectlWait(
  cluster: Cluster,
  { object, condition, timeout }: WaitedFor,
): Promise<void> {
  await kubectl(cluster, "wait", `--for=condition=${condition}`, object, `--timeout=${timeout}`);
}
