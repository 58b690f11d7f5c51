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
  .meta({
    id: "Bot",
    examples: [
      {
        id: "bot-4h7n2d9s5b1f8j3k6p0r",
        displayName: "Bitcoin, hourly",
        exchange: "bybit",
        accountId: "acct-2k9d7w4q8m1z6x3c5v0b",
        className: "pro",
        mode: "live",
        symbols: ["BTC/USDT:USDT"],
        timeframe: "1h",
        strategy: { name: "rsi", params: { period: 14, buyBelow: 30, sellAbove: 70 } },
        risk: {
          leverage: 5,
          balancePercent: 90,
          positionPercent: 5,
          takeProfitPercent: 2,
          stopLossPercent: 1,
          minConfidence: 60,
          dailyLossPercent: 5,
          maxConsecutiveErrors: 5,
        },
        autoTrade: true,
        state: "Running",
        status: {
          ready: true,
          reason: "Running",
          message: "the bot works",
          conditions: [
            {
              type: "Ready",
              status: "True",
              reason: "Running",
              message: "the bot works",
              lastTransitionTime: "2026-01-01T12:00:20.000Z",
              observedGeneration: 1,
            },
          ],
          position: "long 0.025 BTC/USDT:USDT",
          dayResult: "12.40",
          lastTradeAt: "2026-01-01T13:00:01.250Z",
        },
        createdAt: "2026-01-01T12:00:00Z",
      },
    ],
  });
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
