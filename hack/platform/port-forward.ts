import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createConnection } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts } from "../control-plane/free-ports.ts";
import { eventually } from "./eventually.ts";
import type { Kubectl } from "./kubectl.ts";

const START_LIMIT_MS = 15_000;
const RESTART_PAUSE_MS = 300;

interface Target {
  readonly namespace: string;
  /** `svc/name` or `pod/name`. */
  readonly resource: string;
  readonly port: number;
}

export interface Forward {
  readonly port: number;
  /** Ends the process that holds the port. */
  stop(): Promise<void>;
}

/** Opens a port on loopback to a service in the cluster, and answers once it takes connections. */
export async function portForward(kubectl: Kubectl, target: Target): Promise<Forward> {
  const forward = await steadyForward(kubectl, target);
  await eventually({
    what: `port-forward to ${target.resource} takes connections`,
    withinMs: START_LIMIT_MS,
    probe: () => accepts(forward.port),
  });
  return forward;
}

/**
 * A port on loopback that leads to a service whenever it is there: kubectl ends with the pod it led to, and is started
 * again. The service need not exist yet.
 */
export async function steadyForward(kubectl: Kubectl, target: Target): Promise<Forward> {
  const [port = 0] = await freePorts(1);
  const where = ["--kubeconfig", kubectl.kubeconfig, "-n", target.namespace];
  const args = [...where, "port-forward", target.resource, `${port}:${target.port}`];
  const ending = new AbortController();
  let child: ChildProcess | undefined;

  async function keepUp(): Promise<void> {
    while (!ending.signal.aborted) {
      child = spawn(kubectl.binary, args, { stdio: "ignore" });
      await once(child, "exit");
      if (!ending.signal.aborted) await sleep(RESTART_PAUSE_MS);
    }
  }
  const ended = keepUp();
  return {
    port,
    stop: async () => {
      ending.abort();
      child?.kill();
      await ended;
    },
  };
}

/** True when something listens; undefined when not yet. */
function accepts(port: number): Promise<true | undefined> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: "127.0.0.1", port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(undefined));
  });
}
