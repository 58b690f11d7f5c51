import * as z from "zod";
import { BotState, DecimalString, MarketSymbol, Timestamp } from "./fields.ts";
import { REQUESTS_MAX } from "./bot-request.ts";
import { ClientOrderId, JOURNAL_BATCH_MAX, RequestResult, Side, Trade } from "./journal.ts";

/**
 * What bots append to the journal, and what it tells of them. Apart from the journal's answers, because a bot checks only those:
 * schemas that it never parses by would cost each bot 1 MB.
 */

export const Position = z.object({
  symbol: MarketSymbol,
  side: z.enum(["long", "short"]),
  quantity: DecimalString,
  entryPrice: DecimalString,
  unrealisedPnl: DecimalString,
  stopLoss: DecimalString.nullable(),
  takeProfit: DecimalString.nullable(),
});
export type Position = z.infer<typeof Position>;

/** What a bot knows about itself. The latest one per bot is streamed to the operator and read by the API. */
export const Report = z.object({
  generation: z.int().min(1).describe("Generation of the configuration in force."),
  state: BotState,
  flat: z
    .boolean()
    .describe("No position and no order of the bot's own, as just seen at the exchange."),
  protected: z.boolean().describe("Every open position has its stop at the exchange."),
  trading: z.boolean().describe("Entries are possible at this moment."),
  blocked: z
    .array(z.object({ reason: z.string().max(64), message: z.string().max(512) }))
    .max(16)
    .describe("Why entries are not possible; empty when trading."),
  openSymbols: z
    .array(MarketSymbol)
    .max(64)
    .optional()
    .describe("Symbols that are not flat or not known to be; absent: go by `flat`."),
  openEntries: z
    .array(MarketSymbol)
    .max(64)
    .optional()
    .describe("Of them, those where an entry order may still fill; absent: go by `flat`."),
  positions: z.array(Position).max(8),
  balance: z
    .object({ equity: DecimalString, available: DecimalString, currency: z.string().max(16) })
    .nullable(),
  dayResult: DecimalString.nullable(),
  lastTradeAt: Timestamp.nullable(),
  halts: z.array(z.string().max(64)).max(64).describe("Uids of the halts that are obeyed."),
  leased: z
    .boolean()
    .default(false)
    .describe("The bot holds its lease: without one it opens nothing."),
  consecutiveErrors: z.int().min(0).default(0),
  requests: z
    .array(RequestResult.pick({ id: true, status: true, reason: true }))
    .max(REQUESTS_MAX)
    .optional()
    .describe("What became of the newest requests; absent when there was none."),
  asOf: Timestamp,
});
export type Report = z.infer<typeof Report>;

const OrderRecord = z.object({
  type: z.literal("order"),
  clientOrderId: ClientOrderId,
  exchangeOrderId: z.string().max(64).nullable(),
  symbol: MarketSymbol,
  purpose: z.enum(["entry", "exit"]),
  side: Side,
  quantity: DecimalString,
  status: z.enum(["accepted", "refused", "unknown", "filled", "cancelled"]),
  code: z.string().max(64).nullable(),
  message: z.string().max(512).nullable(),
  at: Timestamp,
});

const FillRecord = z.object({
  type: z.literal("fill"),
  executionId: z.string().max(64).describe("The exchange's own id: unique on the account."),
  clientOrderId: ClientOrderId.nullable().describe(
    "Null when a stop or target of the exchange filled.",
  ),
  tradeId: ClientOrderId,
  symbol: MarketSymbol,
  purpose: z.enum(["entry", "stop", "target", "exit"]),
  side: Side,
  price: DecimalString,
  quantity: DecimalString,
  fee: DecimalString,
  feeCurrency: z.string().max(16),
  at: Timestamp,
});

/** Funding of a position: paid or received while it was held, never an order. */
const FundingRecord = z.object({
  type: z.literal("funding"),
  executionId: z.string().max(64).describe("The exchange's own id: unique on the account."),
  tradeId: ClientOrderId,
  symbol: MarketSymbol,
  amount: DecimalString.describe("Positive when received."),
  currency: z.string().max(16),
  at: Timestamp,
});

const TradeRecord = z.object({ type: z.literal("trade"), trade: Trade });

const EquityRecord = z.object({
  type: z.literal("equity"),
  equity: DecimalString,
  available: DecimalString,
  currency: z.string().max(16),
  at: Timestamp,
});

const EventRecord = z.object({
  type: z.literal("event"),
  kind: z.string().max(64).describe("signal, entry-refused, started, ended, adopted…"),
  message: z.string().max(512),
  at: Timestamp,
});

/** Equity at 00:00 UTC of the trading day; without it there are no entries. */
const DayBaselineRecord = z.object({
  type: z.literal("day-baseline"),
  day: z.string().regex(/^\d{4}-\d{2}-\d{2}$/),
  equity: DecimalString,
  startsFrom: DecimalString.describe(
    "The bot's result of all time when the day began: pnl of all closed trades and what the open ones stood at. The day's result is the same sum later, less this.",
  ),
  at: Timestamp,
});

const RequestRecord = z.object({ type: z.literal("request"), result: RequestResult });

const ReportRecord = z.object({ type: z.literal("report"), report: Report });

const RecordBody = z.discriminatedUnion("type", [
  OrderRecord,
  FillRecord,
  FundingRecord,
  TradeRecord,
  EquityRecord,
  EventRecord,
  DayBaselineRecord,
  RequestRecord,
  ReportRecord,
]);
export type RecordBody = z.infer<typeof RecordBody>;

/** One numbered fact. Sequences start at 1 in every epoch; a repeated (epoch, sequence) changes nothing. */
export const JournalRecord = z.object({ sequence: z.int().min(1), body: RecordBody });
export type JournalRecord = z.infer<typeof JournalRecord>;

export const RecordBatch = z.object({
  epoch: z.int().min(1),
  records: z.array(JournalRecord).min(1).max(JOURNAL_BATCH_MAX),
});

/** A bot's latest report. */
export const BotReportLine = z.object({
  botName: z.string(),
  namespace: z.string(),
  podUid: z.string(),
  epoch: z.int().min(1),
  report: Report,
  receivedAt: Timestamp,
  ageMs: z
    .int()
    .min(0)
    .describe("Age of the report by the database's own clock when this line was sent."),
});
export type BotReportLine = z.infer<typeof BotReportLine>;
/** One line of `GET /v1/reports` (newline-delimited JSON). */
export const ReportLine = z.union([
  BotReportLine,
  z.object({ synced: z.literal(true) }),
  z.object({ heartbeat: z.literal(true) }),
]);
export type ReportLine = z.infer<typeof ReportLine>;
