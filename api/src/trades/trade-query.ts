import { DnsLabel, MarketSymbol } from "@tradingbots/crds";
import { z } from "zod";
import type { TradeFilter } from "./trade-store.ts";

const FILTER = {
  botId: DnsLabel.optional(),
  symbol: MarketSymbol.optional(),
  from: z.iso.datetime({ offset: true }).optional().describe("Opened at or after."),
  to: z.iso.datetime({ offset: true }).optional().describe("Opened before."),
};

/** Which trades somebody asks for. */
export const TradeFilterQuery = z.strictObject(FILTER);
export type TradeFilterQuery = z.infer<typeof TradeFilterQuery>;

export function filterOf(
  userId: string,
  { botId, symbol, from, to }: TradeFilterQuery,
): Omit<TradeFilter, "after" | "limit"> {
  return {
    userId,
    botId,
    symbol,
    from: from === undefined ? undefined : new Date(from),
    to: to === undefined ? undefined : new Date(to),
  };
}
