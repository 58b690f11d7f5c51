import { Worker } from "node:worker_threads";
import type { Outcome } from "./simulate.ts";
import type { Order } from "./worker.ts";

/** Both cores of a small machine: a run is all computing. */
export const WORKERS = 2;

/** Plays an order in a thread of its own. */
export async function runWorker(
  bundle: string,
  order: Order,
  hear: (outcome: Outcome) => void,
): Promise<void> {
  const worker = new Worker(bundle);
  try {
    await new Promise<void>((resolve, reject) => {
      worker.on("message", (message: Outcome | string) => {
        if (message === "done") resolve();
        else if (typeof message === "string") console.log(message);
        else hear(message);
      });
      worker.on("error", reject);
      worker.on("exit", () => reject(new Error("a worker ended before its work")));
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      worker.postMessage(order);
    });
  } finally {
    await worker.terminate();
  }
}
