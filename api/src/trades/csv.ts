import { Readable } from "node:stream";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { callerOf } from "../auth/authenticate.ts";
import { scoped } from "../auth/scopes.ts";
import type { Database } from "../database.ts";
import { onceOver } from "../once-over.ts";
import { createOnePerUser } from "../one-per-user.ts";
import { FAILURE } from "../problem.ts";
import { csvField } from "../personal-data/formats.ts";
import { pageOfTrades } from "./page-of-trades.ts";
import { filterOf, TradeFilterQuery } from "./trade-query.ts";
import type { TradeRow } from "./trade-store.ts";

/** Rows that are read at a time; each page is a transaction of its own, so that a slow reader holds none open. */
const PAGE_ROWS = 1_000;
/** A reader who is slower holds a connection for nothing. */
const EXPORT_LIMIT_MS = 10 * 60_000;

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
const Stream = z.unknown().meta({
  type: "string",
  examples: [`${Object.keys(COLUMNS).join(",")}\r\n`],
});

/** GET /api/trades.csv: everything that fits the filter, newest first, as one file. */
export function tradeCsvRoutes({ pool }: { readonly pool: Database }): FastifyPluginAsyncZod {
  const schema = {
    tags: ["trades"],
    ...scoped("read"),
    summary: "My trades as a CSV file",
    querystring: TradeFilterQuery,
    response: {
      200: { description: "RFC 4180", content: { "text/csv": { schema: Stream } } },
      ...FAILURE,
    },
  };
  const begin = createOnePerUser("export");
  return async (app) => {
    app.get("/trades.csv", { schema }, async (request, reply) => {
      const { userId } = callerOf(request);
      const filter = filterOf(userId, request.query);
      const end = begin(userId);
      const limit = setTimeout(() => reply.raw.destroy(), EXPORT_LIMIT_MS);
      const isHere = onceOver(reply, () => {
        clearTimeout(limit);
        end();
      });
      if (!isHere) return reply.hijack();
      const pageAfter = (cursor?: string) =>
        pageOfTrades(pool, { cursor, limit: PAGE_ROWS }, filter);
      // Before the answer begins: what fails from here on can only cut it off.
      const first = await pageAfter();
      reply.header("content-disposition", 'attachment; filename="trades.csv"');
      reply.type("text/csv; charset=utf-8");
      return reply.send(Readable.from(csvOf(first, pageAfter)));
    });
  };
}

type Page = Awaited<ReturnType<typeof pageOfTrades>>;

async function* csvOf(
  first: Page,
  pageAfter: (cursor: string) => Promise<Page>,
): AsyncGenerator<string> {
  yield `${Object.keys(COLUMNS).join(",")}\r\n`;
  for (let page = first; ; page = await pageAfter(page.next)) {
    yield page.items.map(csvLine).join("");
    if (page.next === null) return;
  }
}

function csvLine(row: TradeRow): string {
  return `${Object.values(COLUMNS)
    .map((valueOf) => csvField(valueOf(row)))
    .join(",")}\r\n`;
}
