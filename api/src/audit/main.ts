import { once } from "node:events";
import { parseArgs } from "node:util";
import { z } from "zod";
import { runCommand, UsageError } from "../command-line.ts";
import { createPool, type Queryable } from "../database.ts";
import { exportLines, verifyChain } from "./verify.ts";

/** A walk over millions of entries asks in pages; only the last question of `verify` grows with the table. */
const STATEMENT_LIMIT_MS = 600_000;

const USAGE = `audit verify [--expect SEQUENCE:HASH]  check the whole chain; ends with 1 and names the first broken entry
audit export [--after SEQUENCE]        write the chained entries to standard output, one JSON object a line`;

const Config = z.object({
  ADMIN_DATABASE_URL: z.url(),
  ADMIN_DATABASE_PASSWORD_FILE: z.string().min(1).optional(),
});
const Head = z
  .string()
  .regex(/^\d+:[0-9a-f]{64}$/, "--expect wants what verify printed behind `whole: `: SEQUENCE:HASH")
  .transform((text) => {
    const [sequence, hash = ""] = text.split(":", 2);
    return { sequence: Number(sequence), hash };
  });
const Sequence = z.coerce.number().int().min(0);

await runCommand(USAGE, async () => {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { expect: { type: "string" }, after: { type: "string" } },
  });
  const [command] = positionals;
  if (command !== "verify" && command !== "export") throw new UsageError();
  const expected = Head.optional().parse(values.expect);
  const after = Sequence.parse(values.after ?? 0);
  const env = Config.parse(process.env);
  const pool = createPool({
    url: env.ADMIN_DATABASE_URL,
    passwordFile: env.ADMIN_DATABASE_PASSWORD_FILE,
    connectionsMax: 1,
    statementLimitMs: STATEMENT_LIMIT_MS,
  });
  try {
    await (command === "verify" ? verify(pool, expected) : write(pool, after));
  } finally {
    await pool.end();
  }
});

async function verify(database: Queryable, expected?: z.infer<typeof Head>): Promise<void> {
  const { head, broken, unchained } = await verifyChain(database, expected);
  if (broken !== undefined) {
    console.error(`broken at ${broken.sequence}: ${broken.reason}`);
  } else if (unchained > 0) {
    console.error(`${unchained} entries have no place in the chain`);
  } else {
    console.log(`whole: ${head.sequence}:${head.hash.toString("hex")}`);
    return;
  }
  process.exitCode = 1;
}

async function write(database: Queryable, after: number): Promise<void> {
  for await (const line of exportLines(database, after)) {
    if (!process.stdout.write(line)) await once(process.stdout, "drain");
  }
}
