import { createServer, type ServerResponse } from "node:http";
import { once } from "node:events";
import { Report, type ReportLine } from "@tradingbots/crds";

/** Every line of the stream but `synced` and heartbeats. */
type Told = Omit<Extract<ReportLine, { readonly report: unknown }>, "receivedAt" | "ageMs">;

const HEARTBEAT_MS = 5_000;

/**
 * The journal as the operator sees it. Of reports: what was said last of each bot, then `synced`, then what comes. Of leases: that
 * there are none, because bots here end in good order.
 */
export async function startFakeJournal() {
  const latest = new Map<string, { readonly told: Told; readonly saidAtMs: number }>();
  const listeners = new Set<ServerResponse>();
  const server = createServer((request, response) => {
    response.on("error", () => undefined);
    if (request.url?.startsWith("/v1/leases/") === true) {
      response.writeHead(200, { "content-type": "application/json" }).end('{"leftMs":0}');
      return;
    }
    response.once("close", () => listeners.delete(response));
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    for (const each of latest.values()) response.write(lineOf(each));
    response.write('{"synced":true}\n');
    listeners.add(response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("not a TCP server");
  const heartbeat = setInterval(() => {
    for (const listener of listeners) listener.write('{"heartbeat":true}\n');
  }, HEARTBEAT_MS);

  return {
    url: `http://127.0.0.1:${address.port}`,
    report: (told: Omit<Told, "report">, report: Partial<Report>) => {
      const said = {
        told: { ...told, report: Report.parse({ ...QUIET_REPORT, ...report }) },
        saidAtMs: performance.now(),
      };
      latest.set(told.botName, said);
      for (const listener of listeners) listener.write(lineOf(said));
    },
    forgetAll: () => latest.clear(),
    stop: async () => {
      clearInterval(heartbeat);
      server.closeAllConnections();
      await once(server.close(), "close");
    },
  };
}
export type FakeJournal = Awaited<ReturnType<typeof startFakeJournal>>;

function lineOf({ told, saidAtMs }: { readonly told: Told; readonly saidAtMs: number }): string {
  const ageMs = Math.round(performance.now() - saidAtMs);
  return `${JSON.stringify({ ...told, ageMs, receivedAt: "2026-01-01T00:00:00Z" })}\n`;
}

export const QUIET_REPORT: Report = {
  generation: 1,
  state: "Running",
  flat: true,
  protected: true,
  trading: true,
  blocked: [],
  positions: [],
  balance: null,
  dayResult: "0",
  lastTradeAt: null,
  halts: [],
  leased: true,
  consecutiveErrors: 0,
  asOf: "2026-01-01T00:00:00Z",
};
