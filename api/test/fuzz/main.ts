import { parseArgs } from "node:util";
import { startDatabase } from "../database.ts";
import { fuzz } from "./fuzz.ts";

/** The test of the same name at its full length: node api/test/fuzz/main.ts [--batches 13000] [--bad 50000] */
const { values } = parseArgs({
  options: {
    batches: { type: "string", default: "13000" },
    bad: { type: "string", default: "50000" },
  },
});
const HEAP_GROWTH_MAX = 32 * 1024 * 1024;

const database = await startDatabase();
try {
  const startedMs = performance.now();
  const { good, bad, heapGrowthBytes } = await fuzz(database, Number(values.batches));
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(0);
  const growth = (heapGrowthBytes / 1024 / 1024).toFixed(1);
  console.log(
    `${bad} bad and ${good} good requests answered as described, none with a fault of ours; heap ${growth} MB more; ${seconds} s`,
  );
  if (heapGrowthBytes > HEAP_GROWTH_MAX || bad < Number(values.bad)) process.exitCode = 1;
} finally {
  await database.stop();
}
