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
  .meta({ id: "Trade" });

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
