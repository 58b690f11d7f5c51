import { once } from "node:events";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Kubectl } from "./kubectl.ts";

const START_TIMEOUT_MS = 15_000;

interface Target {
  readonly namespace: string;
  /** `svc/name` or `pod/name`. */
  readonly resource: string;
  readonly port: number;
}

/** Opens a port on loopback to a service in the cluster; `stop` ends the process that holds it. */
export async function portForward(kubectl: Kubectl, target: Target) {
  const args = ["--kubeconfig", kubectl.kubeconfig, "-n", target.namespace, "port-forward"];
  const child = spawn(kubectl.binary, [...args, target.resource, `:${target.port}`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout });
  const signal = AbortSignal.timeout(START_TIMEOUT_MS);
  const line = String((await once(lines, "line", { signal }))[0]);
  const port = /127\.0\.0\.1:(\d+)/.exec(line)?.[1];
  if (port === undefined) throw new Error(`port-forward to ${target.resource} said: ${line}`);
  return {
    port: Number(port),
    stop: async () => {
      if (child.exitCode !== null) return;
      child.kill();
      await once(child, "exit");
    },
  };
}
