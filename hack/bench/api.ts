import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startDatabase, type TestDatabase } from "../../api/test/database.ts";
import { measureBigReads } from "./api/big-reads.ts";
import { measureJournal } from "./api/journal-throughput.ts";
import { measureReads } from "./api/read-side.ts";
import { measureOverhead, measureRatios } from "./api/request-cost.ts";
import { startServer } from "./api/server-process.ts";
import { measureLoginStorm } from "./api/login-storm.ts";
import { measureSockets, shareSockets, weighBareSockets } from "./api/sockets.ts";
import type { Figure } from "./figure.ts";

const LOGIN_STORM_MS = 10_000;
/** Long enough for one of the looks at everybody, every 30 s, behind which news may have to wait. */
const TELLING_MS = 35_000;

/** Requests without a database behind them, and what they suffer when everybody logs in at once. */
export function measureApiRequests(): Promise<readonly Figure[]> {
  return withDatabase(async (database, directory) => {
    const log = join(directory, "requests.log");
    const ratios = await measureRatios((first) => startServer({ ...database, first }, log));
    const server = await startServer(database, log);
    try {
      return [
        ...ratios,
        ...(await measureOverhead(server)),
        ...(await measureLoginStorm(server, LOGIN_STORM_MS)),
      ];
    } finally {
      await server.stop();
    }
  });
}

/** Requests that read as a user. */
export function measureApiReads(): Promise<readonly Figure[]> {
  return withDatabase(measureReads);
}

/** Reads over a table of so many trades. */
export function measureApiBigReads(trades: number): Promise<readonly Figure[]> {
  return withDatabase((database, directory) => measureBigReads(database, directory, trades));
}

/** What bots tell, kept. */
export function measureJournalThroughput(): Promise<readonly Figure[]> {
  return withDatabase(measureJournal);
}

/** Connections that listen; as many as are wanted, over as many processes as that takes. */
export async function measureApiSockets(wanted: number): Promise<readonly Figure[]> {
  const share = await shareSockets(wanted);
  return withDatabase(async (database, directory) => {
    const floor = await weighBareSockets(directory);
    return measureSockets(database, directory, { ...share, tellingMs: TELLING_MS, floor });
  });
}

async function withDatabase(
  measure: (database: TestDatabase, directory: string) => Promise<readonly Figure[]>,
): Promise<readonly Figure[]> {
  const database = await startDatabase();
  const directory = await mkdtemp(join(tmpdir(), "bench-api-"));
  try {
    return await measure(database, directory);
  } finally {
    await database.stop();
    await rm(directory, { recursive: true });
  }
}
