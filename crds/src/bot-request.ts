import * as z from "zod";
import { MarketSymbol, Timestamp } from "./fields.ts";
import { rule, rules } from "./kind.ts";

/** Requests that may stand in a bot's specification at a time. */
export const REQUESTS_MAX = 4;

export const RequestAction = z.enum(["ClosePosition", "CancelOrders", "Order"]);
export type RequestAction = z.infer<typeof RequestAction>;

/** Where a request, or what became of it, is looked up. */
export const RequestId = z
  .string()
  .max(36)
  .regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/);

/** Something that a person wants done once and soon. The bot does it at most once, however often it reads it. */
export const BotRequest = z
  .object({
    id: RequestId,
    action: RequestAction.describe(
      "ClosePosition closes what the bot holds, CancelOrders cancels its entries that may still fill, Order opens a position within the bot's own limits.",
    ),
    symbol: MarketSymbol,
    side: z.enum(["long", "short"]).optional().describe("Of an Order."),
    notAfter: Timestamp.describe(
      "By the exchange's clock. What has not begun by then is never done; a bot takes no request that is valid for more than five minutes.",
    ),
  })
  .meta(
    rules(
      rule(
        "(self.action == 'Order') == has(self.side)",
        "an Order needs side, long or short; the other actions have none",
      ),
      rule(
        "self == oldSelf",
        "a request cannot be changed: write another one, with an id of its own",
      ),
    ),
  );
export type BotRequest = z.infer<typeof BotRequest>;

export const RequestStatus = z.enum(["begun", "done", "refused", "expired"]);
export type RequestStatus = z.infer<typeof RequestStatus>;
