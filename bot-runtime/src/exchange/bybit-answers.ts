import * as z from "zod";

/**
 * The parts of Bybit's v5 answers that the bot relies on, as the exchange writes them: exact decimal strings. An answer that
 * does not fit is an error at the edge, never an `undefined` further in.
 */
const Decimal = z.string().regex(/^-?[0-9]+(\.[0-9]+)?$/);
/** Bybit writes "" (and for prices also "0") where there is none. */
const OptionalDecimal = z.union([Decimal, z.literal("")]);
const Milliseconds = z
  .string()
  .regex(/^[0-9]+$/)
  .transform(Number);

function page<Item extends z.ZodType>(item: Item) {
  return z.object({
    result: z.object({
      list: z.array(item),
      nextPageCursor: z.string().nullish(),
    }),
  });
}

export const OrderPlaced = z.object({
  result: z.object({ orderId: z.string().min(1), orderLinkId: z.string().min(1) }),
});

export const OrderCancelled = z.object({ result: z.object({ orderId: z.string().min(1) }) });

const Order = z.object({
  orderId: z.string().min(1),
  orderLinkId: z.string(),
  side: z.enum(["Buy", "Sell"]),
  qty: Decimal,
  cumExecQty: Decimal,
  orderStatus: z.string(),
  stopOrderType: z.string(),
  createdTime: Milliseconds,
});
export type BybitOrder = z.infer<typeof Order>;
export const OrderPage = page(Order);

const Execution = z.object({
  symbol: z.string(),
  execId: z.string().min(1),
  orderLinkId: z.string(),
  side: z.enum(["Buy", "Sell"]),
  execPrice: Decimal,
  execQty: Decimal,
  execFee: OptionalDecimal,
  feeCurrency: z.string().optional(),
  execType: z.string(),
  stopOrderType: z.string(),
  execTime: Milliseconds,
});
export type BybitExecution = z.infer<typeof Execution>;
/** What moves no position as far as anybody knows may have a shape that nobody knows: its row says at least what it is. */
export const UnshapedExecution = z.object({
  symbol: z.string(),
  execId: z.string().min(1),
  orderLinkId: z.string().optional().catch(undefined),
  execType: z.string(),
  execTime: Milliseconds,
});
export type UnshapedExecution = z.infer<typeof UnshapedExecution>;
export const ExecutionPage = page(z.union([Execution, UnshapedExecution]));

const Position = z.object({
  positionIdx: z.int(),
  side: z.enum(["Buy", "Sell", "None", ""]),
  size: Decimal,
  avgPrice: OptionalDecimal,
  unrealisedPnl: OptionalDecimal,
  leverage: OptionalDecimal,
  stopLoss: OptionalDecimal,
  takeProfit: OptionalDecimal,
  liqPrice: OptionalDecimal.optional(),
});
export type BybitPosition = z.infer<typeof Position>;
export const PositionPage = page(Position);

export const WalletAnswer = z.object({
  result: z.object({
    list: z
      .array(
        z.object({
          totalAvailableBalance: OptionalDecimal,
          coin: z.array(
            z.object({
              coin: z.string(),
              equity: OptionalDecimal,
              totalPositionIM: OptionalDecimal,
              totalOrderIM: OptionalDecimal,
            }),
          ),
        }),
      )
      .min(1),
  }),
});

export const KeyAnswer = z.object({
  result: z.object({
    readOnly: z.int(),
    permissions: z.record(z.string(), z.array(z.string()).nullable()),
    ips: z.array(z.string()).nullish(),
    userID: z.union([z.string(), z.number()]).optional(),
    expiredAt: z.string().optional(),
  }),
});

/** What is not wanted is not read: Bybit lists some 650 linear contracts. */
export const InstrumentPage = page(z.looseObject({ symbol: z.string() }));
