import { spawn } from "node:child_process";
import { once } from "node:events";
import { toolPath } from "../tools/tools.ts";
import type { ControlPlane } from "./control-plane.ts";

/** The controllers of kube-controller-manager that tests ask for. */
export type ControllerName =
  | "disruption-controller"
  | "garbage-collector-controller"
  | "namespace-controller";

/** Runs some of Kubernetes' own controllers beside a control plane, which has none. Stop them before it. */
export async function startControllers(
  { kubeconfigPath }: Pick<ControlPlane, "kubeconfigPath">,
  names: readonly ControllerName[],
): Promise<{ stop(): Promise<void> }> {
  const flags = [
    `--kubeconfig=${kubeconfigPath}`,
    `--controllers=${names.join(",")}`,
    "--leader-elect=false",
    "--secure-port=0",
    // They know no rest in a test: what they have to do is done when the test waits for it.
    "--kube-api-qps=200",
    "--kube-api-burst=400",
  ];
  const child = spawn(await toolPath("kube-controller-manager"), flags, { stdio: "ignore" });
  const ended = once(child, "exit");
  return {
    stop: async () => {
      child.kill("SIGKILL"); // it has nothing to save
      await ended;
    },
  };
}
