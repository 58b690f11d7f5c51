import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { callerOf } from "../auth/authenticate.ts";
import { scoped } from "../auth/scopes.ts";
import type { Database } from "../database.ts";
import { pageOf, PageQuery } from "../page.ts";
import { FAILURE } from "../problem.ts";
import { pageOfTrades } from "./page-of-trades.ts";
import { filterOf, TradeFilterQuery } from "./trade-query.ts";
import type { TradeRow } from "./trade-store.ts";

const TradeQuery = PageQuery.extend(TradeFilterQuery.shape);

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
  .meta({
    id: "Trade",
    examples: [
      {
        id: "6d93125c-e84b-8118-8b2a-59008f79977b",
        botId: "bot-4h7n2d9s5b1f8j3k6p0r",
        symbol: "BTC/USDT:USDT",
        side: "long",
        quantity: "0.025",
        entryPrice: "100120.5",
        exitPrice: "101122.0",
        pnl: "22.27",
        fees: "2.77",
        funding: "0",
        openedAt: "2026-01-01T12:00:01.250Z",
        closedAt: "2026-01-01T14:30:00.500Z",
        reason: "target",
      },
    ],
  });

/** GET /api/trades */
export function tradeRoutes({ pool }: { readonly pool: Database }): FastifyPluginAsyncZod {
  const schema = {
    tags: ["trades"],
    ...scoped("read"),
    summary: "My trades, newest first; an open one has no exit yet",
    querystring: TradeQuery,
    response: { 200: pageOf(TradeView), ...FAILURE },
  };
  return async (app) => {
    app.get("", { schema }, async (request) => {
      const filter = filterOf(callerOf(request).userId, request.query);
      const { items, next } = await pageOfTrades(pool, request.query, filter);
      return { items: items.map(tradeView), next };
    });
  };
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
