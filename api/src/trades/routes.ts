import { DnsLabel, MarketSymbol } from "@tradingbots/crds";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { callerOf } from "../auth/authenticate.ts";
import { asTenant, type Database } from "../database.ts";
import { cutPage, decodeCursor, pageOf, PageQuery } from "../page.ts";
import { FAILURE } from "../problem.ts";
import { findTrades, type TradeFilter, type TradeRow } from "./trade-store.ts";

const TradeQuery = PageQuery.extend({
  botId: DnsLabel.optional(),
  symbol: MarketSymbol.optional(),
  from: z.iso.datetime({ offset: true }).optional().describe("Opened at or after."),
  to: z.iso.datetime({ offset: true }).optional().describe("Opened before."),
});

const TradeView = z
  .object({
    id: z.string(),
    botId: z.string(),
    symbol: z.string(),
    side: z.enum(["long", "short"]),
    quantity: z.string(),
    entryPrice: z.string(),
    exitPrice: z.string().nullable(),
    pnl: z.string().nullable(),
    fees: z.string(),
    funding: z.string().describe("Received while the position was held, negative when paid."),
    openedAt: z.string(),
    closedAt: z.string().nullable(),
    reason: z.string().nullable(),
  })
  .meta({ id: "Trade" });

/** GET /api/trades */
export function tradeRoutes({ pool }: { readonly pool: Database }): FastifyPluginAsyncZod {
  const schema = {
    tags: ["trades"],
    summary: "My trades, newest first; an open one has no exit yet",
    querystring: TradeQuery,
    response: { 200: pageOf(TradeView), ...FAILURE },
  };
  return async (app) => {
    app.get("", { schema }, async (request) => {
      const { botId, symbol, from, to, ...page } = request.query;
      const { items, next } = await pageOfTrades(pool, page, {
        userId: callerOf(request).userId,
        botId,
        symbol,
        from: from === undefined ? undefined : new Date(from),
        to: to === undefined ? undefined : new Date(to),
      });
      return { items: items.map(tradeView), next };
    });
  };
}

const Position = z.tuple([z.iso.datetime(), z.uuid()]);

/** One page of trades; the cursor is the last trade's time and id. */
export async function pageOfTrades(
  pool: Database,
  { cursor, limit }: PageQuery,
  filter: Omit<TradeFilter, "after" | "limit">,
) {
  const [openedAt, id] = cursor === undefined ? [] : decodeCursor(cursor, Position);
  const after =
    openedAt === undefined || id === undefined ? undefined : { openedAt: new Date(openedAt), id };
  const rows = await asTenant(pool, { userId: filter.userId }, (database) =>
    findTrades(database, { ...filter, after, limit }),
  );
  return cutPage(rows, limit, (row) => [row.opened_at.toISOString(), row.id]);
}

function tradeView(row: TradeRow): z.infer<typeof TradeView> {
  const { bot_id: botId, entry_price, exit_price, opened_at, closed_at, ...same } = row;
  return {
    ...same,
    botId,
    entryPrice: entry_price,
    exitPrice: exit_price,
    openedAt: opened_at.toISOString(),
    closedAt: closed_at?.toISOString() ?? null,
  };
}
