import { BotState, Condition, Exchange, Mode, Timeframe, type TradingBot } from "@tradingbots/crds";
import { z } from "zod";

const Status = z.object({
  ready: z.boolean(),
  reason: z.string().nullable(),
  message: z.string().nullable(),
  conditions: z.array(Condition),
  position: z.string().nullable(),
  dayResult: z.string().nullable(),
  lastTradeAt: z.string().nullable(),
});

export const BotView = z
  .object({
    id: z.string(),
    displayName: z.string(),
    exchange: Exchange,
    accountId: z.string().nullable(),
    className: z.string(),
    mode: Mode,
    symbols: z.array(z.string()),
    timeframe: Timeframe,
    strategy: z.object({ name: z.string(), params: z.record(z.string(), z.unknown()) }),
    risk: z.object({
      leverage: z.number(),
      balancePercent: z.number(),
      positionPercent: z.number(),
      takeProfitPercent: z.number(),
      stopLossPercent: z.number(),
      minConfidence: z.number(),
      dailyLossPercent: z.number(),
      maxConsecutiveErrors: z.number(),
    }),
    autoTrade: z.boolean(),
    state: BotState,
    status: Status,
    createdAt: z.string(),
  })
  .meta({ id: "Bot" });
export type BotView = z.infer<typeof BotView>;

/** What a user sees of a bot. */
export function botView({ metadata, spec, status }: TradingBot): BotView {
  const { userId: _, accountName, ...chosen } = spec;
  return {
    ...chosen,
    id: metadata.name,
    accountId: accountName ?? null,
    status: statusView(status),
    createdAt: metadata.creationTimestamp,
  };
}

function statusView(status: TradingBot["status"]): z.infer<typeof Status> {
  const conditions = status?.conditions ?? [];
  const ready = conditions.find(({ type }) => type === "Ready");
  return {
    ready: ready?.status === "True",
    reason: ready?.reason ?? null,
    message: ready?.message ?? null,
    conditions,
    position: status?.summary?.position ?? null,
    dayResult: status?.summary?.dayResult ?? null,
    lastTradeAt: status?.summary?.lastTradeAt ?? null,
  };
}

/** Made of uid and generation: what the operator writes into the status does not move it. */
export function etagOf({ metadata }: Pick<TradingBot, "metadata">): string {
  return `"${metadata.uid}-${metadata.generation}"`;
}

/** Whether an If-Match header names the tag; `*` names any. */
export function matchesEtag(ifMatch: string, etag: string): boolean {
  return ifMatch.split(",").some((tag) => tag.trim() === "*" || tag.trim() === etag);
}
