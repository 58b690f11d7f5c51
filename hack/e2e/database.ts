import { Client } from "pg";
import { z } from "zod";
import { eventually } from "../platform/eventually.ts";
import { portForward } from "../platform/port-forward.ts";
import { kubectl, platform } from "./trader.ts";

/** Runs `work` as Postgres' superuser: the tests look behind row-level security on purpose. */
async function withDatabase<T>(work: (client: Client) => Promise<T>): Promise<T> {
  const { namespace, service, database, password } = platform.postgres;
  const forward = await portForward(kubectl, { namespace, resource: `svc/${service}`, port: 5432 });
  const client = new Client({
    host: "127.0.0.1",
    port: forward.port,
    user: "postgres",
    password,
    database,
  });
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.end();
    await forward.stop();
  }
}

const Fill = z.object({ fee: z.string(), quantity: z.string() });
const Trade = z.object({ id: z.string(), pnl: z.string().nullable() });

/** What the journal holds of a bot, once it holds as many fills as are expected. */
export async function journalOf(botId: string, expected: { readonly fills: number }) {
  return withDatabase((client) =>
    eventually({
      what: `${expected.fills} fills of ${botId} are in the journal`,
      withinMs: 20_000,
      probe: async () => {
        const fills = await client.query(
          "select fee::text, quantity::text from fills where bot_id = $1",
          [botId],
        );
        if (fills.rows.length < expected.fills) return undefined;
        const trades = await client.query(
          "select id::text, pnl::text from trades where bot_id = $1",
          [botId],
        );
        return { fills: Fill.array().parse(fills.rows), trades: Trade.array().parse(trades.rows) };
      },
    }),
  );
}

/** Every row of every table of the platform, as text. */
export async function rowsOfEveryTable(): Promise<string> {
  return withDatabase(async (client) => {
    const tables = await client.query<{ name: string }>(
      "select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema')",
    );
    const rows: string[] = [];
    for (const { name } of tables.rows) {
      const { rows: found } = await client.query<{ row: string }>(
        `select t::text as row from ${name} t`,
      );
      rows.push(name, ...found.map(({ row }) => row));
    }
    return rows.join("\n");
  });
}

/** Which of the needles occur in any file of Postgres' data directory, its write-ahead log included. */
export async function foundInPostgresFiles(needles: readonly string[]): Promise<readonly string[]> {
  const { namespace, pod, dataDirectory } = platform.postgres;
  const script = `
    const { readdirSync, readFileSync } = require("node:fs");
    const needles = JSON.parse(readFileSync(0, "utf8"));
    const found = new Set();
    for (const entry of readdirSync(process.argv[1], { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      let content;
      try { content = readFileSync(entry.parentPath + "/" + entry.name); } catch { continue; }
      for (const needle of needles) if (content.includes(needle)) found.add(needle);
    }
    console.log(JSON.stringify([...found]));`;
  const args = ["exec", "-i", "-n", namespace, pod, "--", "node", "-e", script, dataDirectory];
  return z.array(z.string()).parse(JSON.parse(await kubectl.run(args, JSON.stringify(needles))));
}
