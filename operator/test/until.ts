import { setTimeout as sleep } from "node:timers/promises";

const LOOK_EVERY_MS = 50;
const WAIT_MS = 60_000;

/** Looks again and again until `holds`. @throws Error naming what was waited for after a minute. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + WAIT_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await sleep(LOOK_EVERY_MS);
  }
}
