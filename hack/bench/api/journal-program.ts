import { once } from "node:events";
import { readFileSync } from "node:fs";
import { z } from "zod";
import { connectionOptions, createPool } from "../../../api/src/database.ts";
import { createAnnouncer } from "../../../api/src/journal/announcer.ts";
import { buildJournal } from "../../../api/src/journal/app.ts";
import { createReportHub, REPORTS_CHANNEL } from "../../../api/src/journal/report-hub.ts";
import { createTokenVerifier } from "../../../api/src/journal/tokens.ts";
import { LIVE_CHANNEL } from "../../../api/src/live/channel.ts";
import { createMetrics } from "../../../api/src/metrics.ts";

/** The journal as its main.ts puts it together, but for the cluster: its keys are given. Tells its parent the port. */
const Settings = z.object({ journalUrl: z.string(), issuer: z.string(), jwks: z.unknown() });
const settings = Settings.parse(JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")));

/** As in the journal's config.ts and main.ts. */
const CONNECTIONS_MAX = 16;
const REQUESTS_MAX = CONNECTIONS_MAX * 8;

const pool = createPool({ url: settings.journalUrl, connectionsMax: CONNECTIONS_MAX });
const onError = (error: unknown) => console.error(error);
const raw = async (path: string): Promise<unknown> =>
  path === "/openid/v1/jwks" ? settings.jwks : { issuer: settings.issuer };
const app = await buildJournal({
  pool,
  tokens: createTokenVerifier({ raw, now: Date.now }),
  podExists: async () => true,
  halts: () => ({ asOf: 0, halts: [] }),
  hub: createReportHub({
    database: pool,
    direct: connectionOptions({ url: settings.journalUrl }),
    onError,
  }),
  reported: createAnnouncer({ database: pool, channel: REPORTS_CHANNEL, onError }),
  news: createAnnouncer({ database: pool, channel: LIVE_CHANNEL, onError }),
  operatorSubject: "nobody",
  requestsMax: REQUESTS_MAX,
  registry: createMetrics(),
  log: { level: "info" },
});
await once(app.server.listen(0, "127.0.0.1"), "listening");
const address = app.server.address();
if (address === null || typeof address === "string") throw new Error("not a TCP server");
process.send?.({ port: address.port });
process.on("disconnect", () => process.exit());
