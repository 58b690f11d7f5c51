import { openSync, readSync } from "node:fs";

/** Time on a core, ns; time ready to run without getting one, ns; time slices (Documentation/scheduler/sched-stats.rst). */
const SCHEDSTAT = "/proc/thread-self/schedstat";
const LINE_MAX_BYTES = 64;

/**
 * Gives a function that says how long the calling thread has been kept from a core by others so far, in ms: what a stretch of
 * synchronous work took less this is its own time, whatever else runs on the machine.
 */
export function runDelay(): () => number {
  const file = openSync(SCHEDSTAT, "r");
  const line = Buffer.alloc(LINE_MAX_BYTES);
  return () => {
    const size = readSync(file, line, 0, LINE_MAX_BYTES, 0);
    return Number(line.toString("latin1", 0, size).split(" ")[1]) / 1_000_000;
  };
}
