import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { toolPath } from "../../hack/tools/tools.ts";
import { NAMESPACE, type Platform } from "./platform.ts";

export interface WaitedFor {
  /** `tradingbot/NAME` */
  readonly object: string;
  /** `Ready`, `Progressing=false` */
  readonly condition: string;
  readonly timeout: string;
}

/** `kubectl wait`, as an SRE waits. @throws Error with what kubectl said when the time is over */
export async function kubectlWait(
  { kubeconfigPath }: Pick<Platform, "kubeconfigPath">,
  { object, condition, timeout }: WaitedFor,
): Promise<void> {
  const where = ["--kubeconfig", kubeconfigPath, "--namespace", NAMESPACE];
  const wait = ["wait", `--for=condition=${condition}`, object, `--timeout=${timeout}`];
  await promisify(execFile)(await toolPath("kubectl"), [...where, ...wait]);
}
