import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import type { BcryptJob } from "./bcrypt-worker.ts";

const RESTART_AFTER_MS = 500;

export interface BcryptProcessOptions {
  readonly onMessage: (message: unknown) => void;
  /** The child has died: whatever it was doing is lost. */
  readonly onDeath: () => void;
  /** A new child takes jobs. */
  readonly onStart: () => void;
}

/** Keeps one bcrypt worker running until it is closed. */
export function createBcryptProcess({ onMessage, onDeath, onStart }: BcryptProcessOptions) {
  let child: ChildProcess | undefined = start();
  let closed = false;

  function start(): ChildProcess {
    const started = fork(workerPath(), { stdio: ["ignore", "ignore", "inherit", "ipc"] });
    started.on("message", onMessage);
    started.on("error", () => started.kill("SIGKILL"));
    started.on("exit", () => {
      child = undefined;
      onDeath();
      if (!closed) setTimeout(restart, RESTART_AFTER_MS).unref();
    });
    return started;
  }

  function restart(): void {
    if (closed) return;
    child = start();
    onStart();
  }

  return {
    isAlive: () => child?.connected === true,
    pid: () => child?.pid,
    /** A message that cannot be sent is followed by `onDeath`. */
    send: (job: BcryptJob) => void child?.send(job, () => {}),
    /** For a child that does not answer. */
    kill: () => void child?.kill("SIGKILL"),
    close: () => {
      closed = true;
      child?.kill("SIGTERM");
    },
  };
}

/** Beside this file in the repository, beside the bundle in the image. */
function workerPath(): string {
  const extension = import.meta.filename.endsWith(".ts") ? "ts" : "mjs";
  return join(import.meta.dirname, `bcrypt-worker.${extension}`);
}
