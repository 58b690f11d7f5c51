import { parseArgs } from "node:util";
import { startApi } from "../api.ts";
import { startJournalApp } from "../journal-app.ts";
import { freezePostgres } from "./freeze-postgres.ts";

/** The test of the same name at its full length and with the limits of the product: node api/test/frozen/main.ts [--seconds 30] */
const { values } = parseArgs({ options: { seconds: { type: "string", default: "30" } } });
/** As in the journal's main.ts. */
const STATEMENT_LIMIT_MS = 5_000;

const api = await startApi();
const journal = await startJournalApp(api.database, { statementLimitMs: STATEMENT_LIMIT_MS });
try {
  const { strange, ...found } = await freezePostgres({
    api,
    journal,
    seconds: Number(values.seconds),
  });
  console.log(found);
  console.log(`${strange.length} strange answers`, strange.slice(0, 5));
  const isWhole = found.stored.every((count) => count === found.acknowledged);
  if (strange.length > 0 || !isWhole || found.intentsStored !== 1) process.exitCode = 1;
} finally {
  await journal.close();
  await api.stop();
}
