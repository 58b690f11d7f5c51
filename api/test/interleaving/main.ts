import { parseArgs } from "node:util";
import { startDatabase } from "../database.ts";
import { interleave } from "./interleave.ts";

/** The test of the same name at its full length: node api/test/interleaving/main.ts [--transactions 100000] */
const { values } = parseArgs({
  options: { transactions: { type: "string", default: "100000" } },
});
const database = await startDatabase();
try {
  const startedMs = performance.now();
  const { transactions, rowsSeen, failed, leaks } = await interleave(
    database,
    Number(values.transactions),
  );
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(0);
  console.log(
    `${transactions} transactions, ${failed} of them ended by an error, ${rowsSeen} rows seen, ${leaks.length} of another user; ${seconds} s`,
  );
  for (const leak of leaks.slice(0, 20)) console.log(leak);
  if (leaks.length > 0) process.exitCode = 1;
} finally {
  await database.stop();
}
