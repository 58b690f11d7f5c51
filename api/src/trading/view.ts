import { BotRequest, RequestAction, RequestId, RequestStatus } from "@tradingbots/crds";
import { z } from "zod";
import type { ResultRow } from "./request-store.ts";

const { symbol, notAfter } = BotRequest.shape;

export const RequestView = z
  .object({
    id: RequestId,
    botId: z.string(),
    action: RequestAction,
    symbol,
    side: z.enum(["long", "short"]).nullable(),
    notAfter: notAfter
      .nullable()
      .describe("What has not begun by then is never done; null once the request is put away."),
    status: z
      .enum(["waiting", ...RequestStatus.options])
      .describe("`waiting` until the bot has read it, `begun` until it has come to its end."),
    reason: z.string().nullable().describe("Why it was refused: NotRunning, Halted, PositionOpen…"),
    message: z.string(),
    orderId: z.string().nullable().describe("Id of the trade that it opened, closed or cancelled."),
    at: z
      .string()
      .nullable()
      .describe("When the bot began with it; of one that never began: when it was answered."),
  })
  .meta({
    id: "Request",
    examples: [
      {
        id: "0b6f7a52-6f0f-4c55-9d7e-1c8f6f6f2d11",
        botId: "bot-4h7n2d9s5b1f8j3k6p0r",
        action: "Order",
        symbol: "BTC/USDT:USDT",
        side: "long",
        notAfter: "2026-01-01T12:01:00.000Z",
        status: "done",
        reason: null,
        message: "long 0.025 BTC/USDT:USDT at 100120.5",
        orderId: "6d93125c-e84b-8118-8b2a-59008f79977b",
        at: "2026-01-01T12:00:01.250Z",
      },
    ],
  });
export type RequestView = z.infer<typeof RequestView>;

/** As it stands in the bot's specification, and what the bot has said of it; one of them may be missing. */
interface Known {
  readonly botId: string;
  readonly asked: BotRequest | undefined;
  readonly result: ResultRow | undefined;
}

export function requestView({ botId, asked, result }: Known): RequestView | undefined {
  const request = asked ?? result;
  if (request === undefined) return undefined;
  return {
    id: request.id,
    botId,
    action: request.action,
    symbol: request.symbol,
    side: request.side ?? null,
    notAfter: asked?.notAfter ?? null,
    status: result?.status ?? "waiting",
    reason: result?.reason ?? null,
    message: result?.message ?? "the bot has not read it yet",
    orderId: result?.orderId ?? null,
    at: result?.at.toISOString() ?? null,
  };
}
