import { Readable } from "node:stream";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { callerOf } from "../auth/authenticate.ts";
import type { Database } from "../database.ts";
import { FAILURE } from "../problem.ts";
import { pageOfTrades } from "./page-of-trades.ts";
import { filterOf, TradeFilterQuery } from "./trade-query.ts";
import type { TradeFilter, TradeRow } from "./trade-store.ts";

/** Rows that are read at a time; each page is a transaction of its own, so that a slow reader holds none open. */
const PAGE_ROWS = 1_000;

const COLUMNS = {
  id: (row) => row.id,
  bot: (row) => row.bot_id,
  symbol: (row) => row.symbol,
  side: (row) => row.side,
  quantity: (row) => row.quantity,
  entry_price: (row) => row.entry_price,
  exit_price: (row) => row.exit_price,
  pnl: (row) => row.pnl,
  fees: (row) => row.fees,
  funding: (row) => row.funding,
  opened_at: (row) => row.opened_at.toISOString(),
  closed_at: (row) => row.closed_at?.toISOString() ?? null,
  reason: (row) => row.reason,
} as const satisfies Record<string, (row: TradeRow) => string | null>;

/** Text to clients, a stream to us. */
const Stream = z.unknown().meta({ type: "string" });

/** GET /api/trades.csv: everything that fits the filter, newest first, as one file. */
export function tradeCsvRoutes({ pool }: { readonly pool: Database }): FastifyPluginAsyncZod {
  const schema = {
    tags: ["trades"],
    summary: "My trades as a CSV file",
    querystring: TradeFilterQuery,
    response: {
      200: { description: "RFC 4180", content: { "text/csv": { schema: Stream } } },
      ...FAILURE,
    },
  };
  return async (app) => {
    app.get("/trades.csv", { schema }, async (request, reply) => {
      const filter = filterOf(callerOf(request).userId, request.query);
      reply.header("content-disposition", 'attachment; filename="trades.csv"');
      reply.type("text/csv; charset=utf-8");
      return reply.send(Readable.from(csvOf(pool, filter)));
    });
  };
}

async function* csvOf(
  pool: Database,
  filter: Omit<TradeFilter, "after" | "limit">,
): AsyncGenerator<string> {
  yield `${Object.keys(COLUMNS).join(",")}\r\n`;
  let cursor: string | undefined;
  do {
    const { items, next } = await pageOfTrades(pool, { cursor, limit: PAGE_ROWS }, filter);
    yield items.map(csvLine).join("");
    cursor = next ?? undefined;
  } while (cursor !== undefined);
}

function csvLine(row: TradeRow): string {
  return `${Object.values(COLUMNS)
    .map((valueOf) => quoted(valueOf(row) ?? ""))
    .join(",")}\r\n`;
}

/** RFC 4180: what holds a separator is quoted. */
function quoted(value: string): string {
  return /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
}
