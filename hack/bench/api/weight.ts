import { getHeapSpaceStatistics } from "node:v8";
import type { Weight } from "./server-process.ts";

/** Of this process, for programs that are run with `--expose-gc`. */
export function weightAfterCollection(): Weight {
  globalThis.gc?.();
  const young = getHeapSpaceStatistics().find(({ space_name: name }) => name === "new_space");
  const { rss: residentBytes, heapUsed: heldBytes } = process.memoryUsage();
  return { residentBytes, youngBytes: young?.physical_space_size ?? 0, heldBytes };
}
