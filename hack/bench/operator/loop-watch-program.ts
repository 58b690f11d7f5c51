import { appendFileSync } from "node:fs";

/**
 * Preloaded into a process that is measured: `--import loop-watch-program.ts?to=<file>`. Writes down each time in which the event loop served
 * nobody: `<ms since the process began> <ms> <ms of it that its thread ran>`. The rest of it the thread waited for a processor.
 */

/** As fine as the operator's own measure. */
const LOOK_EVERY_MS = 5;
/** What is shorter is no block. */
const WORTH_MS = 10;

const file = new URL(import.meta.url).searchParams.get("to") ?? "";
let seenAt = performance.now();
let ranMs = ownMs();

setInterval(() => {
  const [before, ranBefore] = [seenAt, ranMs];
  [seenAt, ranMs] = [performance.now(), ownMs()];
  const tookMs = seenAt - before - LOOK_EVERY_MS;
  if (tookMs < WORTH_MS) return;
  appendFileSync(file, `${before} ${tookMs} ${ranMs - ranBefore}\n`);
}, LOOK_EVERY_MS).unref();

function ownMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}
